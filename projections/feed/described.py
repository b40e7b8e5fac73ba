"""The feed as a part of the AsyncAPI document: a channel for each type of message."""

from __future__ import annotations

from typing import Any

from ..asyncapi import Contribution, Object, ref, schemas_of
from . import data as d
from .mapping import TOLD
from .messages import CONTENT_TYPE, CloudEvent

_ADDRESS = "jobledger.{namespace}.feed.{cluster}.{job}.{task}."
_PARAMETERS: Object = {
    "namespace": {"description": "Whose jobs.", "default": "default"},
    "cluster": {
        "description": "Of the tasks it is about; `_` where it is about the job. Letters, digits, `-` and `_` as they "
        "are, every other byte of its UTF-8 as `%` and two hexadecimal digits."
    },
    "job": {"description": "Id of the job."},
    "task": {
        "description": "Name of the tasks it is about, written as the cluster is; `_` where it is about the job."
    },
}
_TAG = {"description": "Tag of the event."}


def messages() -> list[type[d.Data]]:
    """Return what the feed can say, jobs first."""
    told = {message for messages in TOLD.values() for message in messages}
    found = sorted(told | {d.JobDamaged}, key=lambda message: message.TYPE)
    return [*found, d.Unknown]


def described() -> Contribution:
    """Return the feed as a part of a document."""
    channels, operations, described_messages = {}, {}, {}
    for message in messages():
        name = f"feed.{message.TYPE}"
        tag = message is d.Unknown
        channels[name] = {
            "address": _ADDRESS + message.TYPE + (".{tag}" if tag else ""),
            "title": message.TYPE,
            "messages": {message.TYPE: ref("messages", name)},
            "parameters": {
                parameter: ref("parameters", parameter)
                for parameter in (*_PARAMETERS, *(["tag"] if tag else []))
            },
            "x-jetstream": {"stream": "jobledger-{namespace}-feed"},
        }
        operations[name] = {"action": "send", "channel": ref("channels", name), "summary": _summary(message)}
        described_messages[name] = {
            "name": _type(message),
            "title": message.TYPE,
            "summary": _summary(message),
            "contentType": CONTENT_TYPE,
            "payload": {
                "allOf": [
                    ref("schemas", "CloudEvent"),
                    {"type": "object", "properties": _properties(message)},
                ]
            },
        }
    schemas = schemas_of([CloudEvent, *messages()])
    return Contribution(channels, operations, described_messages, schemas, {**_PARAMETERS, "tag": _TAG})


def _properties(message: type[d.Data]) -> Object:
    kind: dict[str, Any] = {"const": _type(message)}
    if message is d.Unknown:
        kind = {"type": "string", "pattern": r"^jobledger\.unknown\."}
    return {"type": kind, "data": ref("schemas", message.__name__)}


def _type(message: type[d.Data]) -> str:
    return "jobledger.unknown" if message is d.Unknown else f"jobledger.{message.TYPE}.v1"


def _summary(message: type[d.Data]) -> str:
    return " ".join((message.__doc__ or "").split())
