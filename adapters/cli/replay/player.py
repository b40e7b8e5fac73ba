"""What keys do to a replay, and what is shown of it. Knows no terminal: keys come in by name, lines go out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobledger.core.errors import ArgumentError, JobLedgerError
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.projections.replaying import Replay
from jobledger.projections.steps import ReplayStep

from ..times import point_from
from . import panes

_KEYS = "→ next  ← back  home/end  g goto  / search  t tasks  d tree  ? help  q quit"
_HEAD = 5  # lines of the heading, with an empty one
_FOOT = 2


@dataclass
class Prompt:
    """A question that is being answered in the last line."""

    question: str
    done: Callable[[str], None]
    typed: str = ""


class Player:
    """A replay at a terminal. It stands at a commit from the beginning on."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._before: ReplayStep | None = None  # the commit before this one
        self._pane = "step"
        self._scroll = 0
        self._said = ""
        self._asked = ""  # what was searched for last
        self._prompt: Prompt | None = None
        self._height = 1
        self._lines: Sequence[str] = ()
        self._drawn: tuple[str, int, int] | None = None  # of which pane, commit and width these lines are
        self._go(1)

    @property
    def step(self) -> ReplayStep:
        """The commit at which it stands."""
        step = self._replay.current
        assert step is not None
        return step

    # -- keys ---------------------------------------------------------------------------------------------------------

    def press(self, key: str) -> bool:
        """Do what a key means. Return False if it is to leave."""
        self._said = ""
        if self._prompt is not None:
            self._answer(self._prompt, key)
            return True
        if key in ("q", "Q", "end of input"):
            return False
        action = self._actions().get(key)
        if action is not None:
            try:
                action()
            except JobLedgerError as error:
                self._said = str(error)
        elif key and not key.startswith("?unknown"):
            self._said = f"{key!r} does nothing here: {_KEYS}"
        return True

    def _actions(self) -> dict[str, Callable[[], object]]:
        page = max(1, self._height - 1)
        return {
            "right": self._next,
            "n": self._next,
            "space": self._next,
            "left": self._back,
            "p": self._back,
            "home": lambda: self._go(1),
            "end": lambda: self._go(len(self._replay)),
            "g": lambda: self._ask("go to a position, a time, so long ago, or a commit (v12): ", self._goto),
            "/": lambda: self._ask("search for a task (12) or a state (failed): ", self._search),
            "t": lambda: self._show("tasks"),
            "d": lambda: self._show("tree"),
            "?": lambda: self._show("help"),
            "escape": lambda: self._show("step"),
            "up": lambda: self._move(-1),
            "down": lambda: self._move(1),
            "page up": lambda: self._move(-page),
            "page down": lambda: self._move(page),
        }

    def _next(self) -> None:
        if self.step.version == len(self._replay):
            self._said = "this is the last commit"
        else:
            self._go(self.step.version + 1)

    def _back(self) -> None:
        if self.step.version == 1:
            self._said = "this is the first commit"
        else:
            self._go(self.step.version - 1)

    def _go(self, version: int) -> None:
        """Stand at a commit, having seen the one before it."""
        self._before = self._replay.seek(version=version - 1) if version > 1 else None
        self._replay.seek(version=version)
        if self._pane == "step":
            self._scroll = 0

    def _show(self, pane: str) -> None:
        self._pane = "step" if pane == self._pane else pane
        self._scroll = 0

    def _move(self, lines: int) -> None:
        self._scroll = max(0, min(self._scroll + lines, len(self._lines) - self._height))

    # -- questions ----------------------------------------------------------------------------------------------------

    def _ask(self, question: str, done: Callable[[str], None]) -> None:
        self._prompt = Prompt(question, done)

    def _answer(self, prompt: Prompt, key: str) -> None:
        if key in ("escape", "end of input"):
            self._prompt = None
        elif key == "backspace":
            prompt.typed = prompt.typed[:-1]
        elif key == "enter":
            self._prompt = None
            try:
                prompt.done(prompt.typed.strip())
            except (JobLedgerError, ValueError) as error:
                self._said = str(error)
        else:
            key = " " if key == "space" else key
            prompt.typed += key if len(key) == 1 and key.isprintable() else ""

    def _goto(self, text: str) -> None:
        if not text:
            return
        if text[0] in "vV" and text[1:].isdecimal():
            version = int(text[1:])
            if not 1 <= version <= len(self._replay):
                raise ArgumentError(f"{text} is not there: there are v1 to v{len(self._replay)}")
        else:
            version = self._replay.seek(point_from(text)).version
        self._go(version)

    def _search(self, text: str) -> None:
        text = text or self._asked
        if not text:
            return
        self._asked = text
        name = text.upper().replace("-", "_").replace(" ", "_")
        states = [kind[name] for kind in (TaskState, JobState) if name in kind.__members__]
        if text.isdecimal():
            found = self._replay.search(task=int(text))
        elif states:
            found = self._replay.search(state=states)
        else:
            names = ", ".join(
                sorted({state.name.lower() for kind in (TaskState, JobState) for state in kind})
            )
            raise ArgumentError(f"{text!r} is neither the number of a task nor a state: {names}")
        if found is None:
            self._said = (
                f"no later commit touches task {text}" if text.isdecimal() else f"nothing is {name} later"
            )
        self._go(self.step.version)

    # -- what is shown ------------------------------------------------------------------------------------------------

    def frame(self, width: int, height: int) -> list[str]:
        """Return what is to be shown now: exactly so many lines, none of them wider."""
        view, step = self._replay.view, self.step
        self._height = max(1, height - _HEAD - _FOOT)
        if self._drawn != (self._pane, step.version, width):
            self._lines = self._body(width)
            self._drawn = self._pane, step.version, width
        self._move(0)
        shown = list(self._lines[self._scroll : self._scroll + self._height])
        body = shown + [""] * (self._height - len(shown))
        head = [*panes.heading(view, step, len(self._replay), self._before, width), ""]
        return [*head, *body, self._place(width), self._foot(width)][:height]

    def _body(self, width: int) -> Sequence[str]:
        view = self._replay.view
        if self._pane == "tasks":
            return panes.TaskLines(view, width)
        if self._pane == "tree":
            return panes.tree_lines(view, width)
        if self._pane == "help":
            return panes.help_lines(width)
        return panes.step_lines(self.step, width)

    def _place(self, width: int) -> str:
        hidden = len(self._lines) - self._height
        if hidden <= 0:
            return ""
        last = min(len(self._lines), self._scroll + self._height)
        return panes.dim(
            panes.fitted(f"lines {self._scroll + 1:,} to {last:,} of {len(self._lines):,}: ↑ ↓ scroll", width)
        )

    def _foot(self, width: int) -> str:
        if self._prompt is not None:
            room = max(1, width - len(self._prompt.question) - 1)
            return panes.fitted(f"{self._prompt.question}{self._prompt.typed[-room:]}█", width)
        text = panes.fitted(self._said or _KEYS, width)
        return panes.reversed_(text)
