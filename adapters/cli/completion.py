"""`jobledger completion`: have a shell complete commands and options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from jobledger.core.errors import ArgumentError

from . import output

if TYPE_CHECKING:
    from pathlib import Path

Shell = Literal["bash", "zsh", "fish"]


def completion(
    *,
    shell: Annotated[Shell | None, Parameter(help="Default: the one this is typed into.")] = None,
    show: Annotated[bool, Parameter(name="--print", help="Print the script, and install nothing.")] = False,
) -> int:
    """Have your shell complete commands and options.

    That writes a file to your home, and for bash and zsh a line to ~/.bashrc or ~/.zshrc that loads it.
    """
    from . import app

    chosen = shell or _this_shell()
    if show:
        output.text(app.generate_completion(shell=chosen))
        return 0
    try:
        path: Path = app.install_completion(shell=chosen)
    except OSError as error:
        raise ArgumentError(
            f"completion for {chosen} cannot be installed: {error}. --print prints the script, to be put elsewhere"
        ) from error
    output.say(f"jobledger: completion for {chosen} is installed in {path}; a new shell has it")
    return 0


def _this_shell() -> Shell:
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    try:
        found = detect_shell()
    except ShellDetectionError:
        found = None
    if found in ("bash", "zsh", "fish"):
        return found
    raise ArgumentError(
        "--shell is missing, and which shell this is cannot be seen: write --shell bash, zsh or fish"
    )
