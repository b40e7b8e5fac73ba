"""Random edits of bundles and of stopped servers' stores, and whether an audit names what was edited.

    PYTHONPATH=tests .venv/bin/python -m support.audit_edits --edits 10000

A log of some jobs is written to a real server and exported; then the server is stopped. Each edit flips a byte, drops,
inserts or swaps commits, or cuts the file off; what is found is compared with what was done.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from jobledger import Client
from jobledger.adapters.audit.bundle import Bundle
from jobledger.adapters.audit.layout import COMMITS, frame_head
from jobledger.adapters.nats.names import Names
from jobledger.audit import AuditReport, FindingKind, UnusableInput, verify, verify_store

from .audit_logs import write_log
from .servers import NatsServer

OPERATIONS = ("flip", "drop", "insert", "reorder", "truncate")


class Stretch(NamedTuple):
    """Where a commit is in a file."""

    position: int
    start: int
    stop: int


class Edit(NamedTuple):
    """What was done to a file."""

    what: str
    data: bytes
    #: positions of which one has to be named first; none where no commit was touched
    positions: frozenset[int] = frozenset()
    may_refuse: bool = False  #: what is left cannot be recognised, so that no commit can be named


def edited(random: Random, data: bytes, commits: Sequence[Stretch], operation: str) -> Edit:
    """Return the file after one random edit of this kind."""
    one = random.randrange(len(commits))
    _, start, stop = commits[one]
    if operation == "flip":
        place = random.randrange(len(data))
        flipped = data[:place] + bytes((data[place] ^ random.randint(1, 255),)) + data[place + 1 :]
        return Edit(f"flip byte {place}", flipped, _touched(commits, place))
    if operation == "truncate":
        place = random.randrange(len(data))
        kept = [commit for commit in commits if commit.stop > place]
        lost = frozenset((kept[0].position,)) if kept else frozenset[int]()
        front = place < commits[0].start
        return Edit(f"truncate at byte {place}", data[:place], lost, may_refuse=front)
    if operation == "drop":
        last = min(len(commits), one + random.choice([1, 1, 1, 2, 3])) - 1
        dropped = data[:start] + data[commits[last].stop :]
        return Edit(f"drop commits {one} to {last}", dropped, frozenset((commits[one].position,)))
    other = random.randrange(len(commits))
    copied = data[commits[other].start : commits[other].stop]
    if operation == "insert":
        if random.random() < 0.3:
            noise = random.randbytes(random.randint(1, 80))
            return Edit(f"insert noise before commit {one}", data[:start] + noise + data[start:])
        inserted = data[:start] + copied + data[start:]
        return Edit(f"insert commit {other} before {one}", inserted, frozenset((commits[other].position,)))
    while other == one or copied == data[start:stop]:
        other = random.randrange(len(commits))
        copied = data[commits[other].start : commits[other].stop]
    low, high = sorted((commits[one], commits[other]))
    swapped = (
        data[: low.start]
        + data[high.start : high.stop]
        + data[low.stop : high.start]
        + data[low.start : low.stop]
        + data[high.stop :]
    )
    return Edit(f"swap commits {one} and {other}", swapped, frozenset((low.position, high.position)))


def _touched(commits: Sequence[Stretch], place: int) -> frozenset[int]:
    return frozenset(commit.position for commit in commits if commit.start <= place < commit.stop)


def judged(report: AuditReport, edit: Edit) -> str:
    """Return what is wrong with the verdict on an edit; "" if it is right."""
    if report.ok or report.first is None:
        return "not found"
    if (
        edit.what.startswith("truncate")
        and report.first.kind is not FindingKind.TRUNCATED
        and not edit.may_refuse
    ):
        return f"{report.first}, though the file was cut off"
    if edit.may_refuse and not report.first.position:
        return ""
    if edit.positions and report.first.position not in edit.positions:
        return f"{report.first} instead of position {sorted(edit.positions)}"
    if not edit.positions and report.first.position and report.first.kind is not FindingKind.INSERTED:
        return f"{report.first}, though no commit was touched"
    if edit.positions and not report.first.job_id and report.first.kind is not FindingKind.TRUNCATED:
        return f"{report.first} names no job" if _knowable(report) else ""
    return ""


def _knowable(report: AuditReport) -> bool:
    """Of a job's last commit that was dropped with others, files of a server tell the position only."""
    return report.first is not None and report.first.kind not in (FindingKind.DROPPED, FindingKind.EDITED)


class Place:
    """A log, its bundle, and the files of the server that had it."""

    def __init__(self, folder: Path, *, seed: int = 1, jobs: int = 8) -> None:
        self._folder = folder
        server = NatsServer(folder).start()
        names = Names("audited")
        try:
            write_log(server.url, names, Random(seed), jobs=jobs)
            with Client(server.url, namespace=names.namespace) as client:
                client.audit().export(folder / "whole.bundle")
        finally:
            server.stop()
        self._bundle = (folder / "whole.bundle").read_bytes()
        self._frames = list(_frames(folder / "whole.bundle"))
        self._store = next((folder / "jetstream").glob(f"**/streams/{names.log_stream}"))
        self._block = (self._store / "msgs" / "1.blk").read_bytes()
        self._records = list(_records(self._block))
        self._spare = folder / "spare" / names.log_stream
        shutil.copytree(self._store, self._spare)

    def edit_bundle(self, random: Random, operation: str) -> str:
        """Return what is wrong with the verdict on a random edit of the bundle."""
        edit = edited(random, self._bundle, self._frames, operation)
        path = self._folder / "edited.bundle"
        path.write_bytes(edit.data)
        try:
            problem = judged(verify(path), edit)
        except UnusableInput:  # it is refused, and says why
            problem = "refused as a whole" if edit.positions and not edit.may_refuse else ""
        return f"bundle: {edit.what}: {problem}" if problem else ""

    def edit_store(self, random: Random, operation: str) -> str:
        """Return what is wrong with the verdict on a random edit of the server's files."""
        name, commits = "msgs/1.blk", self._records
        if operation == "flip" and random.random() < 0.1:
            name, commits = random.choice(["msgs/index.db", "meta.inf", "meta.sum"]), [Stretch(0, 0, 0)]
        sound = (self._store / name).read_bytes()
        edit = edited(random, sound, commits, operation)
        (self._spare / name).write_bytes(edit.data)
        try:
            problem = judged(verify_store(self._spare, namespace="audited"), edit)
        finally:
            (self._spare / name).write_bytes(sound)
        return f"store: {name}: {edit.what}: {problem}" if problem else ""


def _frames(path: Path) -> list[Stretch]:
    with Bundle(path) as bundle:
        offset = bundle.members[COMMITS].offset
        found = []
        for frame in bundle.frames():
            assert frame_head(frame.position, frame.job_id, len(frame.payload))
            found.append(Stretch(frame.position, offset, offset + frame.size))
            offset += frame.size
    return found


def _records(block: bytes) -> list[Stretch]:
    offset, found = 0, []
    while offset < len(block):
        size, position = struct.unpack_from("<IQ", block, offset)
        size &= 0x7FFFFFFF
        found.append(Stretch(position, offset, offset + size))
        offset += size
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--edits", type=int, default=10_000, help="how many, half of them of each kind of file"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random = Random(arguments.seed)
    wrong: list[str] = []
    done: Counter[str] = Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="jobledger-edits-") as folder:
        place = Place(Path(folder), seed=arguments.seed)
        for number in range(arguments.edits):
            operation = OPERATIONS[number // 2 % len(OPERATIONS)]
            edit = place.edit_store if number % 2 else place.edit_bundle
            wrong += filter(None, [edit(random, operation)])
            done[f"{'store' if number % 2 else 'bundle'}: {operation}"] += 1
    for what, count in sorted(done.items()):
        print(f"{what:<20}{count:>8,}")
    print(f"{arguments.edits:,} edits in {time.perf_counter() - began:.0f} s: {len(wrong):,} misjudged")
    for text in wrong[:50]:
        print(f"  {text}")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
