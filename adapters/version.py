"""The version of this project as it is installed."""

from __future__ import annotations

import importlib.metadata


def installed_version() -> str:
    """Return the version, or `unknown` for sources that were never installed."""
    try:
        return importlib.metadata.version("jobledger")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
