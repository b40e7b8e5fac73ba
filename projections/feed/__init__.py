"""The log as one CloudEvent after the other, for services in any language."""

from .context import JobContext
from .messages import (
    CONTENT_TYPE,
    CloudEvent,
    FeedEncoder,
    FeedId,
    FeedMessage,
    Place,
    Unsent,
    told,
    told_damaged,
)

__all__ = [
    "CONTENT_TYPE",
    "CloudEvent",
    "FeedEncoder",
    "FeedId",
    "FeedMessage",
    "JobContext",
    "Place",
    "Unsent",
    "told",
    "told_damaged",
]
