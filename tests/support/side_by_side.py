"""The core and the oracle side by side: both are told the same, and compared after every commit."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import event, target
from hypothesis.stateful import RuleBasedStateMachine, invariant

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit, decode_commit, digest, encode_commit
from jobledger.core.decisions import Refusal, decide
from jobledger.core.job import Job, evolve, fold
from jobledger.core.lifecycle import JobState, LifecycleError, TaskState
from jobledger.core.submission import NewTask, columns
from support.foretelling import foretell
from support.histories import ERROR, JOB, hinted, snapshot
from support.oracle import OF_TASK, Node, Oracle, about, unpacked

#: no more tasks than this: what can go wrong goes wrong among a few
MANY = 45


class SideBySide(RuleBasedStateMachine):
    """A hypothesis machine without rules: what it takes to write them, and what always holds."""

    def __init__(self) -> None:
        super().__init__()
        self.job = Job(JOB)
        self.oracle = Oracle()
        self.now = 0
        self.commits: list[bytes] = []
        self.snapshots = [snapshot(self.job)]  #: of the job after so many commits
        self.claimed: set[tuple[int, int]] = set()  #: (task, attempt)
        self.computed: set[int] = set()

    def do(self, command: c.Command) -> list[e.Event]:
        """Let both decide, compare, and let both apply what was decided."""
        self.now += 1
        expected = foretell(self.oracle, command, self.now)
        decided = self._decide(command)
        assert snapshot(self.job) == self.snapshots[-1], "deciding changed the job"
        assert decided == self._decide(command), "deciding twice gives two answers"
        if isinstance(decided, str):
            assert decided == expected, f"{command}: refused as {decided}, not {expected}"
            return []
        assert _without_texts(decided) == expected, f"{command}: {decided}, not {expected}"
        if decided:
            self._commit(decided)
        return decided

    def _decide(self, command: c.Command) -> list[e.Event] | str:
        try:
            return decide(self.job, command, self.now)
        except Refusal as refusal:
            return refusal.code

    def _commit(self, events: list[e.Event]) -> None:
        for one in events:
            if isinstance(one, e.TasksClaimed):
                self._check_claim(one)
            evolve(self.job, one, self.now)
            self.oracle.follow(one)
        previous = digest(self.commits[-1]) if self.commits else NO_PREVIOUS
        commit = Commit(bytes(16), previous, self.now, "engine", self.job.settled, list(events))
        self.commits.append(encode_commit(commit))
        self.snapshots.append(snapshot(self.job))
        self.tasks_are_as_the_oracle_has_them()
        self.the_job_is_as_the_oracle_has_it()
        self.computed_tasks_stay_computed()

    def _check_claim(self, claim: e.TasksClaimed) -> None:
        for number in unpacked(claim.tasks):
            node = self.oracle.nodes[number]
            assert node.parent is None or node.parent.state == "computed", (
                f"{number}: its parent is not computed"
            )
            for other in node.waits_for:
                assert other.complete, f"{number}: {other.number}, on which it depends, is not complete"
            assert (number, claim.attempt) not in self.claimed, f"{number} is claimed twice in one attempt"
            self.claimed.add((number, claim.attempt))

    def some(self, state: str, pick: int) -> Any:
        """Return one of the tasks in this state. There must be one."""
        nodes = [node for node in self.oracle.nodes if node.state == state]
        return nodes[pick % len(nodes)]

    def claim(self, limit: int) -> list[int]:
        events = self.do(c.ClaimTasks(JOB, "runner", list(range(len(self.job.specs))), limit))
        return [number for one in events if isinstance(one, e.TasksClaimed) for number in unpacked(one.tasks)]

    def compute(self, number: int, subtasks: Sequence[NewTask] = (), *, chunked: bool = False) -> None:
        """Report `number` computed, with these subtasks after those that were staged, in one chunk or in many."""
        attempt, last = self.job.attempt[number], None
        if subtasks and len(self.oracle.nodes) < MANY and not self.oracle.nodes[number].staged:
            *chunks, last = columns(subtasks, max_bytes=1 if chunked else 2**20)
            for chunk in chunks:
                self.do(c.StageSubtasks(JOB, number, attempt, chunk))
        self.do(c.ReportComputed(JOB, number, attempt, 10, 20, last, "shown"))

    def stage(self, node: Node, subtasks: Sequence[NewTask]) -> None:
        if not node.staged and len(self.oracle.nodes) < MANY:
            self.do(c.StageSubtasks(JOB, node.number, node.attempt, next(columns(subtasks))))

    def fail(self, node: Node, times: int) -> None:
        """Fail an attempt of `node`, and the next ones if it is tried again."""
        while node.state == "running" and times:
            times -= 1
            self.do(c.ReportFailed(JOB, node.number, node.attempt, 10, 20, ERROR))
            if times and node.state == "queued":
                self.claim(MANY)

    def hear(self, events: Iterable[e.Event]) -> None:
        """What an engine of ours would not have written. It is folded into a copy: where it is allowed it leads on."""
        for one in events:
            clone = copy.deepcopy(self.job)
            before = _statuses(clone)
            try:
                evolve(clone, one, self.now)
            except LifecycleError:
                assert not self.oracle.allows(one), f"{one} is refused"
                assert snapshot(clone) == self.snapshots[-1], f"{one} was refused and changed the job"
                continue
            assert self.oracle.allows(one), f"{one} is accepted"
            after = _statuses(clone)
            moved = {number for number in range(len(before)) if before[number] != after[number]}
            assert moved == set(about(one) if type(one) in OF_TASK else [])

    # -- what always holds ----------------------------------------------------------------------------------------

    @invariant()
    def tasks_are_as_the_oracle_has_them(self) -> None:
        job, graph = self.job, self.job.graph
        assert len(graph) == len(job.inputs) == len(job.attempt) == len(self.oracle.nodes)
        for node in self.oracle.nodes:
            number = node.number
            assert graph.status[number] == node.machine.current_state_value
            assert (job.attempt[number], job.inputs[number]) == (node.attempt, node.input)
            assert job.spec_of(number) == node.spec
            assert graph.parent[number] == (-1 if node.parent is None else node.parent.number)
            assert [*graph.children(number)] == [child.number for child in node.children]
            assert graph.is_complete(number) == node.complete, f"completeness of {number}"
            assert graph.ready[number] == node.ready, f"readiness of {number}"
            assert job.failures.get(number, 0) == node.failures
            assert job.expiries.get(number, 0) == node.expiries
            assert job.staged_count(number) == len(node.staged)
        running = {node.number: node.runner for node in self.oracle.nodes if node.state == "running"}
        assert job.claimed_by == running
        ready = {node.number for node in self.oracle.nodes if node.ready}
        assert {number for known in hinted(graph).values() for number in known} == ready

    @invariant()
    def the_job_is_as_the_oracle_has_it(self) -> None:
        job, oracle = self.job, self.oracle
        if oracle.machine is None:
            assert not job.state
            return
        assert job.state == oracle.machine.current_state_value
        if not oracle.halted:
            assert JobState(job.state).name.lower() == oracle.following_state()
        assert job.counts[1:] == [oracle.count(state.name.lower()) for state in TaskState]
        assert job.unfinished == oracle.unfinished
        assert job.settled == (oracle.halted and not oracle.count("running"))
        assert (job.commands, job.failed_task) == (oracle.commands, oracle.failed_task)
        assert (oracle.state == "completed") == (not oracle.unfinished and oracle.state != "canceled")
        assert oracle.halted or not oracle.count("failed")

    @invariant()
    def computed_tasks_stay_computed(self) -> None:
        now = {
            number for number, state in enumerate(_statuses(self.job)) if state == TaskState.COMPUTED.value
        }
        assert self.computed <= now
        self.computed = now

    def teardown(self) -> None:
        """The log alone tells the story: any prefix of it folds, in one go or in two, to what the job was then."""
        history = [decode_commit(data) for data in self.commits]
        whole = Job(JOB)
        for position, commit in enumerate(history):
            assert snapshot(whole) == self.snapshots[position]
            for one in commit.events:  # a prefix may end within a commit, too
                evolve(whole, one, commit.at)
            assert whole.settled == commit.settled
        assert snapshot(whole) == self.snapshots[-1]
        pairs = [(commit.at, commit.events) for commit in history]
        middle = self.now % (len(pairs) + 1)
        first = fold(Job(JOB), pairs[:middle])
        assert snapshot(fold(first, pairs[middle:])) == snapshot(whole) == snapshot(fold(Job(JOB), pairs))
        event(f"computed: {len(self.computed) // 5 * 5}…")
        target(float(len(self.oracle.taken)), label="kinds of transition taken")


def _statuses(job: Job) -> bytes:
    return bytes(job.graph.status)


def _without_texts(events: list[e.Event]) -> list[Any]:
    """Return the events with the message of an expiry left out: its wording is not the oracle's business."""
    return [
        type(one)(one.task, one.attempt, one.started, one.stopped, e.Error("LeaseExpired", ""), one.display)
        if isinstance(one, e.TaskFailed | e.OptionalTaskFailed) and one.error.reason == "LeaseExpired"
        else one
        for one in events
    ]
