"""One job or one task to look at: as a card of HTML for a notebook, and as plain text elsewhere.

Both show the same, as of a time that is passed in: whoever has a clock shows what is live by drawing again.
"""

from .bundle import Bundle, job_bundle, task_bundle, with_note
from .html import job_card, task_card
from .text import job_text, task_text

__all__ = [
    "Bundle",
    "job_bundle",
    "job_card",
    "job_text",
    "task_bundle",
    "task_card",
    "task_text",
    "with_note",
]
