"""Whatever a stored event may hold, as something JSON can say."""

from __future__ import annotations

import base64
import math
from typing import Any


def plain(value: Any) -> Any:
    """Return the value with bytes as base64, keys as text, and as text what JSON has no form for.

    >>> plain({1: b"ab", "x": [float("inf"), None]})
    {'1': 'YWI=', 'x': ['inf', None]}
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case list() | tuple():
            return [plain(one) for one in value]
        case dict():
            return {str(plain(key)): plain(one) for key, one in value.items()}
    return str(value)
