"""What decoding raises at bytes that are not what they should be: every place that reads them catches just this.

msgspec has errors of its own for most of it, but passes on that a text is no UTF-8, and that arrays are nested deeper than
the stack is.
"""

from __future__ import annotations

import msgspec

UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
