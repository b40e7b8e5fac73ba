"""The core and the oracle side by side: both are told the same, and compared after every commit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import msgspec
from hypothesis import event, target
from hypothesis.stateful import RuleBasedStateMachine, invariant

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit, decode_commit, digest, encode_commit
from jobledger.core.decisions import Refusal, decide
from jobledger.core.graph import HELD, READY, WAITING
from jobledger.core.job import Job, evolve, fold
from jobledger.core.lifecycle import HALTED, JobState, LifecycleError, TaskState
from jobledger.core.submission import NewTask, columns
from support.columns import unpacked
from support.foretelling import foretell
from support.histories import A_VALUE, ERROR, JOB, hinted, snapshot
from support.oracle import LOST, Node, Oracle, moved
from support.shapes import LIMITS

#: no more tasks than this: what can go wrong goes wrong among a few
MANY = 45

#: commands that may do something each time they are given
ANEW = (c.ClaimTasks, c.ReportProgress, c.ExpireJob)


class SideBySide(RuleBasedStateMachine):
    """A hypothesis machine without rules: what it takes to write them, and what always holds."""

    def __init__(self) -> None:
        super().__init__()
        self.job = Job(JOB)
        self.oracle = Oracle()
        self.now = 0
        self.woken = 0  #: when what was due was last made ready
        self.asked: list[c.Command] = []  #: commands that had an effect
        self.commits: list[bytes] = []
        self.snapshots = [snapshot(self.job)]  #: of the job after so many commits
        self.claimed: set[tuple[int, int]] = set()  #: (task, attempt)
        self.computed: set[int] = set()

    def do(self, command: c.Command) -> list[e.Event]:
        """Let both decide, compare, and let both apply what was decided."""
        self.now += 1
        if isinstance(command, c.ClaimTasks):  # as an engine does
            self.wake()
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
            if not isinstance(command, ANEW):
                self.asked.append(command)
                self.repeat_command(command)
        return decided

    def repeat_command(self, command: c.Command) -> None:
        """A command that had its effect has none when it is repeated, whenever that is."""
        again = self._decide(command)
        assert isinstance(again, str) or not again, f"{command} is not harmless when repeated: {again}"

    def wake(self) -> None:
        self.woken = self.now
        self.job.graph.wake(self.now)
        held = {number for number, byte in enumerate(self.job.graph.ready) if byte == HELD}
        assert held == {node.number for node in self.oracle.nodes if node.ready and node.due_at > self.now}
        times = [self.oracle.nodes[number].due_at for number in held]
        next_wake = self.job.graph.next_wake  # may be early, for the sake of a task that is held no more
        assert next_wake is None or next_wake > self.now
        assert not held or (next_wake is not None and next_wake <= min(times))

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
        self.nothing_waits_in_vain()
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

    def slots(self) -> dict[str, int]:
        """How many more tasks may run, by concurrency key, if this is the only job."""
        return {key: LIMITS[key] - running for key, running in self.job.slots.items()}

    def claim(self, limit: int) -> list[int]:
        kinds = list(range(len(self.job.specs)))
        events = self.do(c.ClaimTasks(JOB, "runner", kinds, limit, self.slots()))
        return [number for one in events if isinstance(one, e.TasksClaimed) for number in unpacked(one.tasks)]

    def compute(self, number: int, subtasks: Sequence[NewTask] = (), *, chunked: bool = False) -> None:
        """Report `number` computed, with these subtasks after those that were staged, in one chunk or in many."""
        attempt, last = self.job.attempt[number], None
        if subtasks and len(self.oracle.nodes) < MANY and not self.oracle.nodes[number].staged:
            *chunks, last = columns(subtasks, max_bytes=1 if chunked else 2**20)
            for chunk in chunks:
                self.do(c.StageSubtasks(JOB, number, attempt, chunk))
        result = A_VALUE if number % 3 else None
        self.do(
            c.ReportComputed(JOB, number, attempt, 10, 20, last, "shown", result=result, reuse_key=b"key")
        )

    def stage(self, node: Node, subtasks: Sequence[NewTask]) -> None:
        if not node.staged and len(self.oracle.nodes) < MANY:
            self.do(c.StageSubtasks(JOB, node.number, node.attempt, next(columns(subtasks))))

    def fail(self, node: Node, times: int, *, final: bool = False) -> None:
        """Fail an attempt of `node`, and the next ones if it is tried again."""
        while node.state == "running" and times:
            times -= 1
            self.do(c.ReportFailed(JOB, node.number, node.attempt, 10, 20, ERROR, final=final))
            if times and node.state == "queued":
                self.now = max(self.now, node.due_at)
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
            changed = {number for number in range(len(before)) if before[number] != after[number]}
            assert changed == set(moved(one))

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
            assert (graph.ready[number] != WAITING) == node.ready, f"readiness of {number}"
            assert graph.ready[number] != READY or node.due_at <= self.woken, f"{number} is not due yet"
            assert node.state != "queued" or graph.held_until(number) == node.due_at
            assert job.failures.get(number, 0) == node.failures
            assert job.expiries.get(number, 0) == node.expiries
            assert job.lost_alone.get(number, 0) == node.lost_alone
            assert job.staged_count(number) == len(node.staged)
            assert job.results.get(number) == node.result
        running = {node.number: node for node in self.oracle.running()}
        assert job.claimed_by == {number: node.runner for number, node in running.items()}
        assert job.cancel_requests == {n: node.request for n, node in running.items() if node.request}
        assert job.unwanted == {node.number for node in self.oracle.nodes if node.unwanted}
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
        assert (job.unfinished, job.left) == (oracle.unfinished, oracle.count("queued", "running"))
        assert job.settled == (oracle.halted and not oracle.running() and not oracle.erasing)
        assert job.erasing == oracle.erasing
        assert (job.commands, job.failed_task) == (oracle.commands, oracle.failed_task)
        assert (job.options, job.deadline, job.cancel) == (oracle.options, oracle.deadline, oracle.cancel)
        assert (job.slots, job.halt) == (oracle.slots(), oracle.halt)
        assert oracle.state != "completed" or not oracle.unfinished

    @invariant()
    def nothing_waits_in_vain(self) -> None:
        """A job that goes on has something to do, and abandoned are exactly the tasks that cannot run."""
        nodes, live = self.oracle.nodes, not self.oracle.halted
        spoilt = [n for n in nodes if n.state in ("failed", "canceled") or n.unwanted]
        hopeless = {node for node in self.oracle.stranded(spoilt) if node.state in ("queued", "abandoned")}
        abandoned = {node for node in nodes if node.state == "abandoned"}
        assert abandoned == hopeless if live else abandoned <= hopeless
        if live and nodes:
            assert self.oracle.running() or any(node.ready for node in nodes)

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
        self.the_job_ends()
        event(f"computed: {len(self.computed) // 5 * 5}…")
        target(float(len(self.oracle.taken)), label="kinds of transition taken")

    def the_job_ends(self) -> None:
        """If runners go on to report and time passes, any job comes to an end; retried without mishaps, to its goal."""
        job, random = copy.deepcopy(self.job), Random(self.now)
        if job.state in (0, JobState.DELETED.value):
            return
        _run(job, self.now, lambda: random.choice(["computed", "computed", "failed", "canceled", "expired"]))
        assert job.settled
        if job.state != JobState.COMPLETED.value:
            _apply(job, c.RetryJob(JOB, "at the end"), self.now)
            _run(job, self.now, lambda: "computed")
        assert job.state == JobState.COMPLETED.value
        assert not any(TaskState(status).name.lower() in LOST for status in job.graph.status)


def _run(job: Job, now: int, end: Callable[[], str]) -> None:
    """Run all there is to run, until the job is settled. `end` says how each attempt ends."""
    for _ in range(1000):
        now += 1000
        job.graph.wake(now)
        for task, attempt in [(task, job.attempt[task]) for task in job.claimed_by]:
            _apply(job, ENDS[end()](task, attempt), now)
        if job.settled:
            return
        slots = {key: LIMITS[key] - running for key, running in job.slots.items()}
        _apply(job, c.ClaimTasks(JOB, "runner", range(len(job.specs)), MANY, slots), now)  # type: ignore[arg-type]
        assert all(running <= LIMITS[key] for key, running in job.slots.items())
        assert job.claimed_by or job.graph.next_wake or job.state in HALTED, (
            "nothing runs or will, and it goes on"
        )
    raise AssertionError("the job does not end")


ENDS: dict[str, Callable[[int, int], c.Command]] = {
    "computed": lambda task, attempt: c.ReportComputed(JOB, task, attempt, 10, 20),
    "failed": lambda task, attempt: c.ReportFailed(JOB, task, attempt, 10, 20, ERROR),
    "canceled": lambda task, attempt: c.ReportCanceled(JOB, task, attempt, 10, 20),
    "expired": lambda task, attempt: c.ExpireLease(JOB, task, attempt),
}


def _apply(job: Job, command: c.Command, now: int) -> None:
    for one in decide(job, command, now):
        evolve(job, one, now)


def _statuses(job: Job) -> bytes:
    return bytes(job.graph.status)


def _without_texts(events: list[e.Event]) -> list[Any]:
    """Return the events with words of our own left out: they are not the oracle's business."""
    return [_without_text(one) for one in events]


def _without_text(one: Any) -> Any:
    if isinstance(one, e.TaskFailed | e.OptionalTaskFailed) and one.error.reason == "LeaseExpired":
        return msgspec.structs.replace(one, error=e.Error("LeaseExpired", ""))
    if isinstance(one, e.TaskReleased) and one.reason.startswith("it stopped"):
        return msgspec.structs.replace(one, reason="")
    return one
