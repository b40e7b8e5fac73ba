"""Any text as one token of a subject, and back.

>>> token_of_text("0190-a_b"), token_of_text(".ä b"), token_of_text("")
('0190-a_b', '%2E%C3%A4%20b', '%')
>>> text_of_token("%2E%C3%A4%20b")
'.ä b'
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

#: what is its own token, so that it stays readable
PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def token_of_text(text: str) -> str:
    """Return the token that stands for this text and no other: letters, digits, dashes, underscores, and escapes.

    A lone `%` is the empty text.
    """
    if PLAIN.fullmatch(text):
        return text
    # `quote` leaves `.` and `~` as they are, of which the first would end the token
    escaped = quote(text, safe="", errors="surrogatepass")
    return escaped.replace(".", "%2E").replace("~", "%7E") or "%"


def text_of_token(token: str) -> str:
    """Return the text for which `token_of_text` gave this token.

    Errors: ValueError when it gives no text this token.
    """
    text = "" if token == "%" else unquote_to_bytes(token).decode(errors="surrogatepass")
    if token_of_text(text) != token:
        raise ValueError(f"{token!r:.100} is not the token of a text")
    return text
