"""The version of this project as it is installed."""

from __future__ import annotations

from functools import cache


@cache
def installed_version() -> str:
    """Return the version, or `unknown` for sources that were never installed."""
    import importlib.metadata  # 20 ms, and rarely needed; then 1 ms for every look

    try:
        return importlib.metadata.version("jobledger")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
