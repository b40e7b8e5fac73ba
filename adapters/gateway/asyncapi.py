"""The JSON commands as parts of an AsyncAPI 3 document: what other programs generate their clients from.

Everything in it is read off the structs: what a field is for, its limits and its default stand there once.
"""

from __future__ import annotations

from jobledger.projections.asyncapi import Contribution, ref, schemas_of

from ..nats.names import Names
from .operations import OPERATIONS, Operation
from .problems import CODES
from .replies import Error, ErrorFacts

_REPLIES = "api.replies"
_NAMESPACE = "NAMESPACE"  # stands for the parameter while subjects are made: it can be part of one


def parts() -> Contribution:
    """Return the channels, operations, messages and schemas of the commands.

    >>> sorted(parts().operations)[:3]
    ['api.cancel', 'api.delete', 'api.find']
    >>> parts().channels["api.submit"]["address"]
    'jobledger.{namespace}.api.v1.submit'
    """
    kinds = [kind for one in OPERATIONS.values() for kind in (one.request, one.reply)]
    found = Contribution({}, {}, {}, schemas_of(dict.fromkeys((Error, *kinds))), {"namespace": _PARAMETER})
    found.schemas[ErrorFacts.__name__]["properties"]["code"]["enum"] = list(CODES)
    found.messages["api.error"] = {
        "title": "Error",
        "summary": "The request was not carried out.",
        "contentType": "application/json",
        "headers": _HEADERS,
        "payload": ref("schemas", Error.__name__),
    }
    replies = {"error": ref("messages", "api.error")}
    for name, operation in OPERATIONS.items():
        _add(found, name, operation)
        replies[name] = ref("messages", f"api.{name}.reply")
    found.channels[_REPLIES] = {
        "address": None,
        "summary": "Replies go to the subject that a request names for them, as those of every NATS request.",
        "messages": replies,
    }
    return found


def _add(found: Contribution, name: str, operation: Operation) -> None:
    whole = f"api.{name}"
    summary = _summary(operation.request)
    found.messages[f"{whole}.request"] = {
        "title": operation.request.__name__,
        "summary": summary,
        "contentType": "application/json",
        "payload": ref("schemas", operation.request.__name__),
    }
    ok = {"ok": ref("schemas", operation.reply.__name__)}
    found.messages[f"{whole}.reply"] = {
        "title": operation.reply.__name__,
        "summary": _summary(operation.reply),
        "contentType": "application/json",
        "payload": {"type": "object", "properties": ok, "required": ["ok"]},
    }
    found.channels[whole] = {
        "address": Names(_NAMESPACE).api_subject(name).replace(_NAMESPACE, "{namespace}"),
        "summary": summary,
        "parameters": {"namespace": ref("parameters", "namespace")},
        "messages": {"request": ref("messages", f"{whole}.request")},
    }
    found.operations[whole] = {
        "action": "receive",
        "channel": ref("channels", whole),
        "summary": summary,
        "messages": [ref("channels", f"{whole}/messages/request")],
        "reply": {
            "channel": ref("channels", _REPLIES),
            "messages": [ref("channels", f"{_REPLIES}/messages/{one}") for one in (name, "error")],
        },
    }


_PARAMETER = {"description": "Whose jobs.", "default": "default"}
_HEADERS = {
    "type": "object",
    "properties": {
        "Nats-Service-Error-Code": {
            "type": "string",
            "description": "The HTTP status that means about the same.",
        },
        "Nats-Service-Error": {
            "type": "string",
            "description": "The code, and the message in ASCII, cut short.",
        },
    },
}


def _summary(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]
