"""Whether the script of this process is not being run, but loaded for the task classes that it defines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobledger.core.errors import ArgumentError

_loading = False


@contextmanager
def for_its_classes() -> Iterator[None]:
    """Load it inside of this."""
    global _loading
    _loading = True
    try:
        yield
    finally:
        _loading = False


def refuse_while_loading(what: str) -> None:
    """Raise ArgumentError where the script does this while it is only being loaded."""
    if _loading:
        raise ArgumentError(
            f'the script {what} outside of its `if __name__ == "__main__":`, and each worker process that loads it for its '
            "tasks would do so too. Move that below the line"
        )
