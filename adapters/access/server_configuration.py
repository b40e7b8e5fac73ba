"""What nats-server is to be told about users: a file to include in its configuration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..nats.names import Names
from .rights import subjects

if TYPE_CHECKING:
    from .users import User

_HEAD = """\
# Made by `jobledger access` from users.json beside it: change users with that command, not here.
# In nats-server.conf:  include ./nats-access.conf      Then:  nats-server --signal reload
"""


def configuration(users: Iterable[User], account: str = "") -> str:
    """Return the file. Shape: with `account` the users belong to it, and it has JetStream of its own."""
    lines = [line for user in users for line in _user(user)]
    if account:
        return "\n".join(
            [
                _HEAD,
                "accounts {",
                f"{json.dumps(account)}: {{",
                "jetstream: enabled",
                *_list(lines),
                "}",
                "}",
                "",
            ]
        )
    return "\n".join([_HEAD, "authorization {", "timeout: 5", *_list(lines), "}", ""])


def _list(lines: Sequence[str]) -> list[str]:
    return ["users: [", *lines, "]"]


def _user(user: User) -> list[str]:
    rights = subjects(Names(user.namespace), user.who)
    login = (
        f"nkey: {user.nkey}"
        if user.nkey
        else f"user: {json.dumps(user.login)}, password: {json.dumps(user.password_hash)}"
    )
    return [
        f"  {{ # {user.namespace} {user.identity}",
        f"    {login}",
        "    permissions: {",
        f"      publish: {{ allow: {_subjects(rights.publish)} }}",
        f"      subscribe: {{ allow: {_subjects(rights.subscribe)} }}",
        "    }",
        "  }",
    ]


def _subjects(some: Sequence[str]) -> str:
    return json.dumps(list(dict.fromkeys(some)))
