"""What an error advises in the words of Python, in the words of the command line."""

from __future__ import annotations

import re
import shlex
from ast import literal_eval

_TEXT = r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
_COMMANDS = (
    (re.compile(rf"client\.clusters\(\)\.create\({_TEXT}(?:, slug={_TEXT})?\)"), "jobledger cluster create"),
    (re.compile(rf"client\.jobs\(\)\.retry\({_TEXT}\)"), "jobledger job retry"),
)


def at_a_terminal(told: str) -> str:
    """Return what an error tells, with commands where it names calls of the client.

    >>> at_a_terminal("create it: client.clusters().create('big ones')")
    "create it: jobledger cluster create 'big ones'"
    >>> at_a_terminal("create it: client.clusters().create('gpu', slug='gpu')")
    'create it: jobledger cluster create gpu --slug gpu'
    """
    for call, command in _COMMANDS:
        told = call.sub(lambda found, command=command: _command(command, found), told)  # type: ignore[misc]
    return told


def _command(command: str, call: re.Match[str]) -> str:
    name, *more = [shlex.quote(literal_eval(text)) for text in call.groups() if text is not None]
    return " ".join([command, name, *(f"--slug {slug}" for slug in more)])
