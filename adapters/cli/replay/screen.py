"""The replay of a job on a terminal, until somebody leaves it."""

from __future__ import annotations

from jobledger.projections.replaying import Replay

from .keys import Terminal
from .player import Player


def play(replay: Replay) -> None:
    """Show the replay, and do what is typed. Errors: KeyboardInterrupt; DamagedLog. The terminal is left as it was."""
    player = Player(replay)
    with Terminal() as terminal:
        while True:
            key = terminal.key()
            if not player.press(key):
                return
            terminal.show(player.frame(*terminal.size))
