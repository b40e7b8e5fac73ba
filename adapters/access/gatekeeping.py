"""What a request to JetStream asks for, and whether a role may have it. Pure: the engine acts on it.

Only requests are known that this package makes, and only in the form it makes them: what is passed on is written anew
from what was understood, so that nothing else can be slipped in.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from jobledger.core.errors import JobLedgerError
from jobledger.core.undecodable import UNDECODABLE

from ..nats.names import Names
from .identity import Role
from .rights import STREAM_RIGHTS, Kept, Op, Stream, streams

_API = "$JS.API."
_LITERAL = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")
_PATTERN = re.compile(r"[^\s.*>]+(\.([^\s.*>]+|\*))*(\.>)?")
_CONSUMER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CHUNKS = re.compile(r"C\.([A-Za-z0-9-]+)\.[0-9a-f]{64}\.[0-9a-f]{32}")
_OBJECT = re.compile(r"([A-Za-z0-9-]+)/[0-9a-f]{64}")
_REUSE = re.compile(r"key\.[0-9a-f]{64}")
_JOB = re.compile(r"[A-Za-z0-9-]+")
_LONGEST = 300_000_000_000  # ns


class Denied(JobLedgerError):
    """The request is not one that may be passed on."""


class Wanted(NamedTuple):
    """What a request asks for."""

    kept: Kept
    op: Op
    subject: str  #: what is read, written or purged, without the prefix of the stream; "" for all of it
    payload: bytes  #: as it is to be passed on


# -- what is asked: fields that are not here are not passed on -------------------------------------------------------


class _Info(msgspec.Struct, omit_defaults=True):
    subjects_filter: str = ""
    offset: int = 0


class _Get(msgspec.Struct, omit_defaults=True):
    seq: int = 0
    last_by_subj: str = ""
    next_by_subj: str = ""
    batch: int = 0
    max_bytes: int = 0
    start_time: str = ""


class _Purge(msgspec.Struct, omit_defaults=True):
    filter: str
    seq: int = 0


class _Consumer(msgspec.Struct, omit_defaults=True):
    """One to pull from: where messages are to be delivered cannot be said."""

    deliver_policy: str
    filter_subject: str
    ack_policy: str = ""
    opt_start_seq: int = 0
    inactive_threshold: int = 0
    mem_storage: bool = False
    num_replicas: int = 0


class _Create(msgspec.Struct):
    stream_name: str
    config: _Consumer


class _Next(msgspec.Struct, omit_defaults=True):
    batch: int = 0
    max_bytes: int = 0
    expires: int = 0
    idle_heartbeat: int = 0
    no_wait: bool = False


def wanted(names: Names, to: str, payload: bytes) -> Wanted | None:
    """Return what a request on subject `to` asks of JetStream; None if it does not go there. Errors: Denied."""
    if to.startswith(_API):
        return _asked(streams(names), to[len(_API) :], payload)
    if to.startswith(("$KV.", "$O.", names.prefix)):
        for kept, stream in streams(names).items():
            if to.startswith(stream.prefix) and kept is not Kept.LOG:
                rest = to[len(stream.prefix) :]
                if not _LITERAL.fullmatch(rest):
                    raise Denied(f"{to} is no subject to write to")
                return Wanted(kept, Op.WRITE, rest, payload)
        if to.startswith(("$KV.", "$O.", f"{names.log_prefix}.")):
            raise Denied(f"nobody but an engine writes to {to}")
    return None


def _asked(known: Mapping[Kept, Stream], question: str, payload: bytes) -> Wanted:
    for verb, ask in _QUESTIONS.items():
        if question.startswith(verb):
            name, _, rest = question[len(verb) :].partition(".")
            if rest and verb not in _SAY_MORE:
                raise Denied(f"nothing follows the name of the stream in {verb}")
            for kept, stream in known.items():
                if stream.name == name:
                    try:
                        return ask(kept, stream, rest, payload)
                    except UNDECODABLE as error:
                        raise Denied(f"{question}: {error}") from error
            raise Denied(f"{name} is no stream of this namespace to ask about")
    raise Denied(f"{question.partition('.')[0]} is nothing to ask for")


def _within(stream: Stream, subject: str) -> str:
    """Return a subject, or a pattern of such, without the prefix of its stream."""
    if not (subject.startswith(stream.prefix) and _PATTERN.fullmatch(subject)):
        raise Denied(f"{subject!r:.200} is no subject of the stream {stream.name}")
    return subject[len(stream.prefix) :]


def _info(kept: Kept, stream: Stream, rest: str, payload: bytes) -> Wanted:
    request = msgspec.json.decode(payload or b"{}", type=_Info)
    listed = _within(stream, request.subjects_filter) if request.subjects_filter else ""
    return Wanted(kept, Op.LIST if listed else Op.INFO, listed, msgspec.json.encode(request))


def _get(kept: Kept, stream: Stream, rest: str, payload: bytes) -> Wanted:
    if rest:  # the newest message on this subject
        return Wanted(kept, Op.READ, _within(stream, rest), b"")
    request = msgspec.json.decode(payload, type=_Get)
    subject = request.last_by_subj or request.next_by_subj
    if request.last_by_subj and request.next_by_subj:
        raise Denied("one subject can be read at a time")
    read = _within(stream, subject) if subject else ""
    return Wanted(kept, Op.READ, read, msgspec.json.encode(request))


def _purge(kept: Kept, stream: Stream, rest: str, payload: bytes) -> Wanted:
    request = msgspec.json.decode(payload, type=_Purge)
    return Wanted(kept, Op.PURGE, _within(stream, request.filter), msgspec.json.encode(request))


def _create(kept: Kept, stream: Stream, rest: str, payload: bytes) -> Wanted:
    request = msgspec.json.decode(payload, type=_Create)
    followed = _within(stream, request.config.filter_subject)
    if request.stream_name != stream.name:
        raise Denied(f"{request.stream_name!r:.100} is another stream")
    if not 0 < request.config.inactive_threshold <= _LONGEST:
        raise Denied("a consumer that is not used any more goes within five minutes")
    return Wanted(kept, Op.FOLLOW, followed, msgspec.json.encode(request))


def _consumer(kept: Kept, stream: Stream, rest: str, payload: bytes) -> Wanted:
    if not _CONSUMER.fullmatch(rest):
        raise Denied(f"{rest!r:.100} is the name of no consumer")
    request = msgspec.json.decode(payload or b"{}", type=_Next)
    return Wanted(kept, Op.FOLLOW, "", msgspec.json.encode(request))


_QUESTIONS = {
    "STREAM.INFO.": _info,
    "STREAM.MSG.GET.": _get,
    "DIRECT.GET.": _get,
    "STREAM.PURGE.": _purge,
    "CONSUMER.CREATE.": _create,
    "CONSUMER.MSG.NEXT.": _consumer,
    "CONSUMER.DELETE.": _consumer,
}


#: whose subjects go on behind the name of the stream
_SAY_MORE = ("DIRECT.GET.", "CONSUMER.MSG.NEXT.", "CONSUMER.DELETE.")


# -- who may have it --------------------------------------------------------------------------------------------------


def check(role: Role, asked: Wanted) -> None:
    """Errors: Denied for what this role has no right to."""
    if role.trusted or asked.op not in STREAM_RIGHTS[role].get(asked.kept, ()):
        raise Denied(f"a {role} may not {asked.op} the {asked.kept}")
    if asked.kept is Kept.KEYS and not _JOB.fullmatch(asked.subject) and asked.op is not Op.INFO:
        raise Denied("keys are had one by one")


def bound_job(asked: Wanted) -> str | None:
    """Return which job a runner must have work of, to do that; None where the request is narrow enough by itself.

    An object is read by its whole name, and an earlier success by its key: both have a SHA-256 in them of what is asked for,
    so that nobody finds what he does not know of.
    Errors: Denied for what no runner may do.
    """
    kept, op, subject = asked.kept, asked.op, asked.subject
    if op is Op.INFO or kept is Kept.CLUSTERS:
        return None
    if kept is Kept.REUSE and _REUSE.fullmatch(subject):
        return None
    if kept is Kept.OBJECTS:
        job_id = _job_of_object(subject)
        return None if op is Op.READ else job_id
    if kept in (Kept.CACHE, Kept.KEYS, Kept.TELEMETRY):
        job_id = subject.partition(".")[0]
        if _JOB.fullmatch(job_id):
            return job_id
    raise Denied(f"no runner may {op} that of the {kept}")


def _job_of_object(subject: str) -> str:
    """Errors: Denied for what is not one object."""
    found = _CHUNKS.fullmatch(subject)
    if found is None and subject.startswith("M."):
        try:
            name = base64.urlsafe_b64decode(subject[2:].encode()).decode()
        except (binascii.Error, ValueError) as error:
            raise Denied("that is the name of no object") from error
        found = _OBJECT.fullmatch(name)
    if found is None:
        raise Denied("objects are had one by one")
    return found[1]


_ROLLUP = "Nats-Rollup"
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_IDENTITY = "Nats-Msg-Id"


def passed_on(headers: dict[str, str], asked: Wanted) -> dict[str, str]:
    """Return those headers that are passed on.

    Errors: Denied for others, some of which delete a whole stream; and where one is missing that sees to it that nothing is
    replaced: no key of a job ever is, and a change of a cluster follows the one before.
    """
    kept: dict[str, Any] = {}
    for name, value in headers.items():
        if asked.op is Op.WRITE and (
            (name == _ROLLUP and value == "sub" and asked.kept is Kept.CACHE)
            or (name == _EXPECTED and value.isascii() and value.isdecimal())
            or (name == _IDENTITY and len(value) <= 64)
        ):
            kept[name] = value
        else:
            raise Denied(f"the header {name} is not passed on")
    if asked.op is Op.WRITE and (
        (asked.kept is Kept.KEYS and kept.get(_EXPECTED) != "0")
        or (asked.kept is Kept.CLUSTERS and _EXPECTED not in kept)
    ):
        raise Denied(f"that of the {asked.kept} is not replaced")
    return kept
