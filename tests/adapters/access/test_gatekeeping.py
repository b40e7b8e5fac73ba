"""Whatever is asked at the gate, it is understood or denied; and what is passed on for a runner is narrow."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobledger.adapters.access.gatekeeping import Denied, Wanted, bound_job, check, passed_on, wanted
from jobledger.adapters.access.identity import Role
from jobledger.adapters.access.rights import Kept, Op, streams
from jobledger.adapters.nats.names import Names

N = Names("n")
STREAMS = streams(N)
VERBS = (
    "STREAM.INFO",
    "STREAM.MSG.GET",
    "DIRECT.GET",
    "STREAM.PURGE",
    "STREAM.DELETE",
    "STREAM.CREATE",
    "CONSUMER.CREATE",
    "CONSUMER.MSG.NEXT",
    "CONSUMER.DELETE",
)
TOKENS = st.sampled_from(
    ["a-job", "*", ">", "k", "x", "", "C", "M", "key", "ab" * 32, "cd" * 16, "a b", "\r\n", "é", "$KV"]
)
REST = st.lists(TOKENS, max_size=4).map(".".join)
PREFIX = st.sampled_from([stream.prefix for stream in STREAMS.values()] + ["", f"{N.prefix}.", "$KV.other."])
SUBJECTS = st.builds(str.__add__, PREFIX, REST)
STREAM_NAMES = st.sampled_from([stream.name for stream in STREAMS.values()] + ["jobledger-other-log", ""])
QUESTIONS = st.builds(
    lambda verb, stream, rest: f"$JS.API.{verb}.{stream}{rest and '.'}{rest}",
    st.sampled_from(VERBS),
    STREAM_NAMES,
    st.one_of(st.just(""), SUBJECTS),
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "subjects_filter": SUBJECTS,
        "last_by_subj": SUBJECTS,
        "next_by_subj": SUBJECTS,
        "filter": SUBJECTS,
        "seq": st.integers(-2, 2**70),
        "batch": st.integers(),
        "stream_name": STREAM_NAMES,
        "config": st.fixed_dictionaries(
            {
                "deliver_policy": st.just("all"),
                "filter_subject": SUBJECTS,
                "inactive_threshold": st.integers(0, 10**12),
            },
            optional={"deliver_subject": SUBJECTS, "name": TOKENS, "filter_subjects": st.lists(SUBJECTS)},
        ),
    },
)
PAYLOADS = st.one_of(FIELDS.map(json.dumps).map(str.encode), st.binary(max_size=40))
HEADERS = st.dictionaries(
    st.sampled_from(["Nats-Rollup", "Nats-Msg-Id", "Nats-Expected-Last-Subject-Sequence", "Nats-TTL", "X"]),
    st.sampled_from(["sub", "all", "7", "-1", "x" * 65, ""]),
)


@given(
    to=st.one_of(SUBJECTS, QUESTIONS, st.text(max_size=30)),
    payload=PAYLOADS,
    role=st.sampled_from(Role),
    headers=HEADERS,
)
def test_what_is_asked_is_understood_or_denied(
    to: str, payload: bytes, role: Role, headers: dict[str, str]
) -> None:
    try:
        asked = wanted(N, to, payload)
        if asked is None:
            assert not to.startswith(("$", *(stream.prefix for stream in STREAMS.values())))
            return
        check(role, asked)
        kept = passed_on(headers, asked)
        job_id = bound_job(asked) if role is Role.RUNNER else None
    except Denied:
        return
    assert not role.trusted
    assert "Nats-Rollup" not in kept or (asked.kept, kept["Nats-Rollup"]) == (Kept.CACHE, "sub")
    assert not kept or asked.op is Op.WRITE
    if asked.op is not Op.WRITE:
        _is_confined(to, asked)
    if job_id is not None:
        assert job_id == "a-job"


def _is_confined(to: str, asked: Wanted) -> None:
    """What is passed on speaks of the stream alone that it was checked for, and says nothing that was not understood."""
    stream = STREAMS[asked.kept]
    assert f".{stream.name}" in to
    assert not set(to) & set(" \r\n\t")
    said: dict[str, Any] = json.loads(asked.payload) if asked.payload else {}
    config = said.get("config", {})
    subjects = [
        said.get(field, "") for field in ("subjects_filter", "last_by_subj", "next_by_subj", "filter")
    ]
    for subject in (*subjects, config.get("filter_subject", "")):
        assert not subject or subject.startswith(stream.prefix)
    assert not config.keys() & {"deliver_subject", "filter_subjects", "name"}


def test_a_runner_has_no_way_to_everything_of_a_stream() -> None:
    for kept in set(Kept) - {Kept.CLUSTERS}:
        for op in set(Op) - {Op.INFO}:
            for subject in ("", ">", "*", "*.k.x", "M.*", "C.>", "key.*"):
                asked = Wanted(kept, op, subject, b"")
                try:
                    check(Role.RUNNER, asked)
                    job_id = bound_job(asked)
                except Denied:
                    continue
                # at most all of one job that it has work of
                assert kept in (Kept.CACHE, Kept.TELEMETRY), asked
                assert job_id == subject.partition(".")[0], asked
