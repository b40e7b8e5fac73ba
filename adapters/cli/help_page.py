"""Commands and their help, without loading what only running them takes.

cyclopts would lay its pages out with rich, and import a command to say what it is for: twice the time of everything else.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import cyclopts

if TYPE_CHECKING:
    from cyclopts.argument import Argument

_NAMES = 26  # characters of the column of names; longer ones stand alone on their line
_WIDEST = 100


class App(cyclopts.App):
    """Commands, each of which is imported when it is run, or its own help is asked for."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.summaries: dict[str, str] = {}  #: what a command is for: the first line of its own help

    def offer(self, name: str, path: str, summary: str) -> None:
        """Add the command, or the commands, that `path` names as `module:object`."""
        self.summaries[name] = summary
        self.command(path, name=name)


def help_page(app: App, tokens: Sequence[str]) -> str | None:
    """Return the help that is asked for: by a flag, or by naming something that has commands and none of them.

    None if there is something to run, or to complain about.
    """
    words = [token for token in tokens if token not in app.help_flags]
    chain, apps, rest = app.parse_commands(words)
    found = apps[-1]
    runs = found.default_command is not None
    if rest and not (runs or rest[0].startswith("-")):
        return None  # no such command
    if len(words) == len(tokens) and (runs or rest):
        return None
    usage = ["jobledger", *chain]
    if runs:
        arguments = [one for one in found.assemble_argument_collection(parse_docstring=False) if one.show]
        named = [one for one in arguments if one.index is not None]
        usage += [_label(one) if one.required else f"[{_label(one)}]" for one in named]
        usage += ["[OPTIONS]"] if len(named) < len(arguments) else []
        parts = list(_groups(arguments))
        if further := [(name, _summary(found, name)) for name in commands_of(app, chain)]:
            parts.insert(0, ("Commands", further))
    else:
        parts = [("Commands", [(name, _summary(found, name)) for name in commands_of(app, chain)])]
        parts[0][1].extend([("--help, -h", "Show this, or what a command does.")])
        parts[0][1].extend([("--version", "Show the version.")] if not chain else [])
        usage.append("COMMAND")
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    lines = [f"Usage: {' '.join(usage)}", "", *_paragraphs(found.help, width)]
    for title, rows in parts:
        column = min(_NAMES, max(len(name) for name, _ in rows))
        lines += ["", f"{title}:", *(line for row in rows for line in _row(*row, column, width))]
    return "\n".join(lines)


def commands_of(app: cyclopts.App, chain: Sequence[str]) -> list[str]:
    """Return the names of the commands there are behind these words."""
    for name in chain:
        app = app[name]
    return sorted(name for name in app if not name.startswith("-"))


def _summary(app: cyclopts.App, name: str) -> str:
    known = app.summaries.get(name) if isinstance(app, App) else None
    return known or app[name].help.partition("\n")[0]


def _groups(arguments: list[Argument]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each group of arguments: those without a name first, then the options, then groups as they are sorted."""
    named = [one for one in arguments if one.index is not None]
    options = [one for one in arguments if one.index is None]
    if named:
        yield "Arguments", [(_label(one), _told(one)) for one in named]
    members: dict[tuple[int, str], list[Argument]] = {}
    for one in options:
        groups: Any = one.parameter.group
        group = groups[0]
        members.setdefault((group.sort_key or 0, group.name), []).append(one)
    for place in sorted(members):
        title = "Options" if place[1] == "Parameters" else place[1]
        yield title, [(_option(one), _told(one)) for one in members[place]]


def _label(argument: Argument) -> str:
    return argument.name.lstrip("-").upper()


def _option(argument: Argument) -> str:
    names = [name for name in argument.names if name not in argument.negatives]
    return f"{', '.join(names)} {_placeholder(argument)}".rstrip()


def _placeholder(argument: Argument) -> str:
    """Return what stands for the value of an option; nothing for a flag."""
    hints = [hint for hint in get_args(argument.hint) if hint is not type(None)] or [argument.hint]
    if hints[0] is bool:
        return ""
    if argument.parameter.metavar:
        return argument.parameter.metavar
    if argument.get_choices():
        return "CHOICE"
    plain = get_args(hints[0])[0] if get_origin(hints[0]) is list else hints[0]
    return {int: "N", Path: "PATH"}.get(plain, "TEXT")


def _told(argument: Argument) -> str:
    told = [argument.parameter.help or ""]
    if choices := argument.get_choices():
        told.append(f"[{', '.join(choices)}]")
    if argument.parameter.env_var:
        told.append(f"[env: {', '.join(argument.parameter.env_var)}]")
    if argument.required:
        told.append("[required]")
    if argument.parameter.show_default:
        default = argument.field_info.default
        told.append(f"[default: {default:g}]" if isinstance(default, float) else f"[default: {default}]")
    return " ".join(told)


def _paragraphs(text: str, width: int) -> list[str]:
    paragraphs = [" ".join(one.split()) for one in text.split("\n\n")]
    return "\n\n".join(textwrap.fill(one, width) for one in paragraphs).splitlines()


def _row(name: str, text: str, column: int, width: int) -> list[str]:
    indent = " " * (column + 4)
    lines = textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent) or [""]
    if len(name) > column:
        return [f"  {name}", *lines]
    return [f"  {name:<{column}}  {lines[0].strip()}".rstrip(), *lines[1:]]
