"""Originator ids as subject tokens, and back.

A plain string of letters, digits, dashes and underscores is its own token, so that job ids are readable in subjects.
Whatever else an application uses as an id is escaped with characters that no plain string contains:

>>> token_of("0190-a_b"), token_of(".ä b"), token_of(UUID(int=1))
('0190-a_b', '%2E%C3%A4%20b', '=00000000000000000000000000000001')
>>> id_of("=00000000000000000000000000000001")
UUID('00000000-0000-0000-0000-000000000001')

The mapping is one to one and keeps the type: a UUID and the string of its digits are two originators.
"""

from __future__ import annotations

from uuid import UUID

from eventsourcing.persistence import DataError, ProgrammingError

from jobledger.core.tokens import PLAIN, text_of_token, token_of_text

#: the server ends a connection that sends a control line (subject, reply inbox, sizes) of more than 4096 bytes
_LONGEST = 2048


def token_of(originator_id: UUID | str) -> str:
    """Return the subject token that stands for this id.

    Errors: ProgrammingError when the id is neither string nor UUID, or too long for a subject.
    """
    if isinstance(originator_id, UUID):
        return f"={originator_id.hex}"
    if not isinstance(originator_id, str):
        raise ProgrammingError(
            f"originator id {originator_id!r} is a {type(originator_id).__name__}: ids are strings or UUIDs"
        )
    token = token_of_text(originator_id)
    if len(token) > _LONGEST:
        raise ProgrammingError(
            f"originator id {originator_id[:40]!r}… takes {len(token)} bytes in a subject, of {_LONGEST} possible: "
            "use a shorter id, or a UUID derived from it"
        )
    return token


def id_of(token: str) -> UUID | str:
    """Return the id for which `token_of` gave this token.

    Errors: DataError when no id has it.
    """
    originator_id: UUID | str
    if PLAIN.fullmatch(token) and len(token) <= _LONGEST:
        return token
    try:
        originator_id = UUID(hex=token[1:]) if token.startswith("=") else text_of_token(token)
        if token_of(originator_id) == token:
            return originator_id
    except (ValueError, ProgrammingError):
        pass
    raise DataError(f"{token!r} is not the token of an originator id: a message of another program?")
