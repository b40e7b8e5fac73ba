"""The tokens of a feed subject: cluster, job, name of the task, noun and verb of what happened.

>>> kind_token("gpu"), kind_token("example.org/Fetch"), kind_token("_"), kind_token("")
('gpu', 'example%2Eorg%2FFetch', '%5F', '%')
>>> text_of_kind("example%2Eorg%2FFetch"), text_of_kind("%5F")
('example.org/Fetch', '_')
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from jobledger.core.tokens import text_of_token, token_of_text

#: what stands for cluster and name where a message is about a job as a whole
NONE = "_"
_ESCAPED_NONE = "%5F"  # a cluster, or a task, that really is called so
#: Bytes of a token. The server ends a connection over a control line of more than 4096, and two of these are in it.
_LONGEST = 1000
_CUT = "%~"  # in no other token


@lru_cache(maxsize=10_000)
def kind_token(text: str) -> str:
    """Return the token that stands for the name of a cluster or a task.

    One to one; but for names that are very long when escaped, of which the end becomes a digest.
    """
    token = token_of_text(text)
    if token == NONE:
        return _ESCAPED_NONE
    if len(token) > _LONGEST:
        return f"{token[: _LONGEST // 2]}{_CUT}{hashlib.sha256(text.encode()).hexdigest()}"
    return token


def text_of_kind(token: str) -> str:
    """Return the name for which `kind_token` gave this token.

    Errors: ValueError for `_`, for one that was cut, and for what is no such token.
    """
    if token == NONE or _CUT in token:
        raise ValueError(
            f"{token!r:.100} stands for no name, or for a part of one: see the message's attributes"
        )
    return "_" if token == _ESCAPED_NONE else text_of_token(token)
