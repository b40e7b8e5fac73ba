"""What happened to a chain of commits is told by the chain itself."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.core.codec import NO_PREVIOUS
from jobledger.projections.audit import Finding, FindingKind, Findings
from jobledger.projections.audit.chain import BEGINNING, Link, explain
from jobledger.projections.audit.findings import LIMIT
from jobledger.projections.audit.order import displaced, out_of_order


def chain(length: int) -> list[Link]:
    """Return a sound history: commits at positions 10, 20, …"""
    links: list[Link] = []
    previous = NO_PREVIOUS
    for version in range(1, length + 1):
        digest = hashlib.sha256(previous + bytes([version])).digest()
        links.append(Link(10 * version, version, previous, digest))
        previous = digest
    return links


def edited(link: Link) -> Link:
    return link._replace(digest=hashlib.sha256(link.digest).digest())


def told(links: list[Link], gone: list[int] | None = None) -> list[tuple[str, int, int]]:
    def between(start: int, stop: int) -> list[int]:
        return [position for position in gone or () if start < position < stop]

    found = [named.finding for named in explain("job", BEGINNING, links, between)]
    return [(one.kind.name, one.version, one.position) for one in found]


def test_nothing_is_said_of_a_sound_chain() -> None:
    assert told(chain(5)) == []


@given(st.integers(2, 9), st.data())
def test_a_commit_that_its_successor_does_not_know_was_edited(length: int, data: st.DataObject) -> None:
    version = data.draw(st.integers(1, length - 1))
    links = chain(length)
    links[version - 1] = edited(links[version - 1])
    assert told(links) == [("EDITED", version, 10 * version)]


@given(st.integers(3, 9), st.data())
def test_so_was_one_that_names_another_commit_before_it(length: int, data: st.DataObject) -> None:
    version = data.draw(st.integers(2, length - 1))
    links = chain(length)
    links[version - 1] = edited(links[version - 1])._replace(previous=bytes(32).replace(b"\0", b"x"))
    assert told(links) == [("EDITED", version, 10 * version)]


@given(st.integers(3, 9), st.data())
def test_so_was_one_with_another_version(length: int, data: st.DataObject) -> None:
    version = data.draw(st.integers(1, length - 1))
    links = chain(length)
    wrong = data.draw(st.integers(1, 2**63).filter(lambda number: number != version))
    links[version - 1] = edited(links[version - 1])._replace(version=wrong)
    assert told(links) == [("EDITED", version, 10 * version)]


@given(st.integers(1, 9), st.data())
def test_so_was_one_that_cannot_be_read(length: int, data: st.DataObject) -> None:
    version = data.draw(st.integers(1, length))
    links = chain(length)
    links[version - 1] = edited(links[version - 1])._replace(version=0, previous=b"", problem="garbage")
    assert told(links) == [("EDITED", version, 10 * version)]


@given(st.integers(3, 9), st.data())
def test_what_is_missing_was_dropped(length: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, length - 1))
    last = data.draw(st.integers(first, length - 1))
    links = [link for link in chain(length) if not first <= link.version <= last]
    assert told(links) == [("DROPPED", first, 0)]
    gone = [10 * version for version in range(first, last + 1)]
    assert told(links, gone) == [("DROPPED", first, 10 * first)]


@given(st.integers(3, 9), st.data())
def test_a_stranger_was_inserted(length: int, data: st.DataObject) -> None:
    version = data.draw(st.integers(2, length - 1))
    links = chain(length)
    stranger = edited(links[version - 1])._replace(position=10 * version - 5)
    links.insert(data.draw(st.sampled_from([version - 1, version])), stranger)
    assert told(links) == [("INSERTED", version, 10 * version - 5)]


@given(st.integers(3, 9), st.data())
def test_two_that_stand_in_each_others_place_were_reordered(length: int, data: st.DataObject) -> None:
    low = data.draw(st.integers(0, length - 2))
    high = data.draw(st.integers(low + 1, length - 1))
    links = chain(length)
    links[low], links[high] = links[high], links[low]
    assert {(kind, version) for kind, version, _ in told(links)} == {
        ("REORDERED", low + 1),
        ("REORDERED", high + 1),
    }


@given(st.lists(st.integers(0, 30), max_size=12))
def test_without_what_is_displaced_numbers_ascend(numbers: list[int]) -> None:
    wrong = set(displaced(numbers))
    kept = [number for index, number in enumerate(numbers) if index not in wrong]
    assert kept == sorted(set(kept))


@given(st.permutations(range(8)), st.integers(0, 7))
def test_a_second_one_is_no_displaced_one(numbers: list[int], copy: int) -> None:
    copied, moved = out_of_order([*range(8), copy]) if copy < 7 else ([7], [])
    assert (copied, moved) == ([copy], [])
    assert out_of_order(numbers)[0] == []


def test_one_commit_is_named_once_and_as_well_as_it_can_be() -> None:
    findings = Findings()
    findings.add(Finding(FindingKind.EDITED, "its bytes differ", position=7))
    findings.add(Finding(FindingKind.DROPPED, "it is missing", "job", 3, 7))
    assert findings.first() == [Finding(FindingKind.EDITED, "its bytes differ", "job", 3, 7)]
    assert findings.count == 1


def test_the_first_findings_are_kept_and_all_are_counted() -> None:
    findings = Findings()
    for position in range(20 * LIMIT, 0, -1):
        findings.add(Finding(FindingKind.DROPPED, "it is missing", position=position))
    assert findings.count == 20 * LIMIT
    assert [one.position for one in findings.first()] == list(range(1, LIMIT + 1))


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (
            Finding(FindingKind.EDITED, "it differs", "job", 2, 5),
            "EDITED: version 2 of job job, position 5: it differs",
        ),
        (Finding(FindingKind.TRUNCATED, "it ends", part="index"), "TRUNCATED: index: it ends"),
        (Finding(FindingKind.DROPPED, "", "job"), "DROPPED: job job"),
    ],
)
def test_a_finding_reads_as_a_line(finding: Finding, text: str) -> None:
    assert str(finding) == text
