"""Functions with one piece of their text replaced: bugs that are planted on purpose."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any


def mutated(function: Any, old: str, new: str) -> Any:
    """Return `function` with the only occurrence of `old` in its text replaced.

    When the function is rewritten and the piece is gone, this says so: plant the same bug another way.
    """
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, (
        f"{function.__qualname__} has {source.count(old)} times {old!r}: renew the mutant"
    )
    scope: dict[str, Any] = {}
    code = compile("from __future__ import annotations\n" + source.replace(old, new), "<mutant>", "exec")
    exec(code, function.__globals__, scope)  # noqa: S102 (its own text, but for one piece)
    return scope[function.__name__]
