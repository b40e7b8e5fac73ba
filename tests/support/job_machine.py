"""A hypothesis machine that drives the core and the oracle side by side, and compares them after every step.

Random commands alone never get far: a job of which nothing is ever computed exercises nothing. So most rules are
guided, they know what is possible and drive whole attempts; the arbitrary ones then try what should not be.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from hypothesis import event, target
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.histories import ERROR, JOB, hinted, snapshot
from support.oracle import OF_TASK, Node, Oracle, packed, unpacked
from support.shapes import new_tasks, random_tasks

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.codec import NO_PREVIOUS, Commit, decode_commit, digest, encode_commit
from jobledger.core.decisions import Refusal, decide
from jobledger.core.job import Job, evolve, fold
from jobledger.core.lifecycle import JobState, LifecycleError, TaskState
from jobledger.core.submission import NewTask, Submission, columns

#: no more tasks than this: what can go wrong goes wrong among a few
MANY = 45

picks = st.integers(0, 60)
lots = st.randoms(use_true_random=True)
small = st.integers(-1, 12)
attempts = st.integers(-1, 5)
command_ids = st.sampled_from(["one", "two", "three", "four", "five", "six"])

#: submissions that are mostly malformed, or begin where they should not
dubious = st.one_of(
    new_tasks(max_size=2).map(lambda tasks: next(columns(tasks))),
    st.builds(
        Submission,
        inputs=st.lists(st.just(b""), max_size=2),
        specs=st.just([]),
        spec_runs=st.lists(st.integers(-1, 2), max_size=2),
        dependency_sets=st.lists(st.lists(st.integers(-1, 2), max_size=2), max_size=1),
        start=st.integers(-1, 2),
    ),
)
range_lists = st.one_of(
    st.lists(small, max_size=4),  # hardly ever ranges
    picks.map(lambda number: [number, number + 1]),
    st.tuples(small, small).map(lambda pair: [min(pair), max(pair) + 1]),
)
numbers = small | picks
facts = (numbers, attempts, st.just(10), st.just(20))

arbitrary_events: st.SearchStrategy[e.Event] = st.one_of(
    st.builds(e.JobSubmitted, st.just("again"), dubious),
    st.builds(e.SubtasksStaged, numbers, attempts, dubious),
    st.builds(e.TasksClaimed, st.just("runner"), attempts, range_lists),
    st.builds(e.TaskComputed, *facts, st.none() | dubious),
    st.builds(e.AttemptFailed, *facts, st.just(ERROR)),
    st.builds(e.TaskFailed, *facts, st.just(ERROR)),
    st.builds(e.OptionalTaskFailed, *facts, st.just(ERROR)),
    st.builds(e.TasksSkipped, range_lists, numbers),
    st.builds(e.TaskReleased, numbers, attempts, st.just("")),
    st.builds(e.LeaseExpired, numbers, attempts, st.just("runner")),
    st.just(e.JobCompleted()),
    st.builds(e.JobFailed, numbers),
    st.builds(e.JobCanceled, command_ids),
    st.builds(e.JobRetried, command_ids, range_lists, small),
)
arbitrary_commands: st.SearchStrategy[c.Command] = st.one_of(
    st.builds(c.SubmitJob, st.just(JOB), st.sampled_from(["", "again"]), dubious),
    st.builds(c.StageSubtasks, st.just(JOB), numbers, attempts, dubious),
    st.builds(c.ReportComputed, st.just(JOB), *facts, st.none() | dubious),
    st.builds(c.ReportFailed, st.just(JOB), *facts, st.just(ERROR)),
    st.builds(c.ReleaseTask, st.just(JOB), numbers, attempts, st.just("")),
    st.builds(c.ExpireLease, st.just(JOB), numbers, attempts),
    st.builds(c.ClaimTasks, st.just(JOB), st.just("runner"), st.lists(small, max_size=3), small),
)


class JobMachine(RuleBasedStateMachine):
    """One job from before its submission."""

    def __init__(self) -> None:
        super().__init__()
        self.job = Job(JOB)
        self.oracle = Oracle()
        self.now = 0
        self.commits: list[bytes] = []
        self.snapshots = [snapshot(self.job)]  #: of the job after so many commits
        self.claimed: set[tuple[int, int]] = set()  #: (task, attempt)
        self.computed: set[int] = set()

    # -- side by side ---------------------------------------------------------------------------------------------

    def do(self, command: c.Command) -> list[e.Event]:
        """Let both decide, compare, and let both apply what was decided."""
        self.now += 1
        expected = self.oracle.decide(command, self.now)
        try:
            events = decide(self.job, command, self.now)
        except Refusal as refusal:
            assert refusal.code == expected, f"{command}: refused as {refusal.code}, not {expected}"
            assert snapshot(self.job) == self.snapshots[-1], "a refused command changed the job"
            return []
        assert decide(self.job, command, self.now) == events, "deciding twice gives two answers"
        assert snapshot(self.job) == self.snapshots[-1], "deciding changed the job"
        assert _without_texts(events) == expected, f"{command}: {events}, not {expected}"
        if events:
            self._commit(events)
        return events

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
            assert node.parent is None or node.parent.state == "computed", f"{number}: its parent is not computed"
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

    # -- guided rules ---------------------------------------------------------------------------------------------

    @initialize(
        roots=new_tasks(max_size=3, optional=False) | new_tasks(max_size=2),
        random=lots,
        steps=st.integers(0, 100),
    )
    def submit(self, roots: list[NewTask], random: Random, steps: int) -> None:
        self.do(c.SubmitJob(JOB, "a job", next(columns(roots)), "user@host"))
        self.live(random, steps)

    @rule(limit=st.integers(1, 4))
    def claim_some(self, limit: int) -> None:
        self.claim(limit)

    @rule(kinds=st.lists(st.integers(0, 5), max_size=3), limit=st.integers(1, 3))
    def claim_some_kinds(self, kinds: list[int], limit: int) -> None:
        self.do(c.ClaimTasks(JOB, "other runner", kinds, limit))

    @rule(subtasks=new_tasks(max_size=5), chunked=st.booleans())
    def grow(self, subtasks: list[NewTask], chunked: bool) -> None:
        """One whole attempt that ends with subtasks."""
        for number in self.claim(1):
            self.compute(number, subtasks, chunked=chunked)

    @rule(random=lots, steps=st.integers(5, 40))
    def live(self, random: Random, steps: int) -> None:
        """A stretch of the job's life: whole attempts, most of which end well, now and then something else.

        Hypothesis varies an example it has by little; it would take thousands to reach what a few lives reach.
        """
        for _ in range(steps):
            running = [node for node in self.oracle.nodes if node.state == "running"]
            if self.oracle.halted and random.random() < (0.1 if running else 0.5):
                self.retry(f"retry-{random.randrange(99)}")
            if running and random.random() < 0.5:
                self._end_an_attempt(random, running)
            else:
                self._do_something_else(random)

    def _do_something_else(self, random: Random) -> None:
        weights = {"claim": 12, "hear": 3, "repeat": 2, "to and fro": 1, "cancel": 1, "lose": 0.2}
        what = random.choices([*weights], [*weights.values()])[0]
        if what == "claim":
            self.claim(random.choice([1, 1, 2, 3, MANY]))
        elif what == "hear":
            self._hear([_almost_right(random, self.oracle)])
        elif what == "repeat":
            self.repeat(random.randrange(MANY))
        elif what == "to and fro":
            claimed = self.claim(random.randint(2, 3))
            for number in reversed(claimed):
                self.do(c.ReleaseTask(JOB, number, self.job.attempt[number], "shutting down"))
            self.claim(len(claimed))
        elif what == "lose" and not self.oracle.halted:
            self.lose_runners(11)
        elif what == "cancel":
            self.cancel(f"cancel-{self.now}")

    def _end_an_attempt(self, random: Random, running: list[Node]) -> None:
        node = random.choice(running)
        # nothing happens any more to a job that is completed: the last tasks get subtasks, or end in another way
        last = self.oracle.unfinished < 3 and not self.oracle.halted
        weights = {"compute": 12, "fail": 4, "release": 2, "expire": 2, "stage": 2, "cancel": 1}
        if last:
            weights |= {"fail": 12, "cancel": 8}
        what = random.choices([*weights], [*weights.values()])[0]
        if what == "compute":
            self.compute(node.number, random_tasks(random) if last or random.random() < 0.3 else ())
        elif what == "fail":
            self.fail(node, random.choice([1, 4]))
        elif what == "release":
            self.do(c.ReleaseTask(JOB, node.number, node.attempt, "shutting down"))
        elif what == "expire":
            self.do(c.ExpireLease(JOB, node.number, node.attempt))
        elif what == "stage":
            self.stage(node, random_tasks(random))
        else:
            self.cancel(random.choice(["one", "two", f"cancel-{self.now}"]))

    @rule()
    def work(self) -> None:
        """All that is left, to the end."""
        while claimed := self.claim(2):
            for number in claimed:
                self.compute(number)

    @precondition(lambda self: self.oracle.count("running"))
    @rule(pick=picks, subtasks=new_tasks(max_size=4) | st.just([]), chunked=st.booleans())
    def compute_one(self, pick: int, subtasks: list[NewTask], chunked: bool) -> None:
        self.compute(self.some("running", pick).number, subtasks, chunked=chunked)

    @precondition(lambda self: self.oracle.count("running"))
    @rule(pick=picks, subtasks=new_tasks(max_size=3))
    def stage_one(self, pick: int, subtasks: list[NewTask]) -> None:
        self.stage(self.some("running", pick), subtasks)

    @precondition(lambda self: self.oracle.count("running"))
    @rule(pick=picks, times=st.integers(1, 4))
    def fail_one(self, pick: int, times: int) -> None:
        self.fail(self.some("running", pick), times)

    @precondition(lambda self: self.oracle.count("running"))
    @rule(picked=st.lists(picks, min_size=1, max_size=3), expired=st.booleans())
    def give_back(self, picked: list[int], expired: bool) -> None:
        for pick in picked:
            if self.oracle.count("running"):
                node = self.some("running", pick)
                self.do(
                    c.ExpireLease(JOB, node.number, node.attempt)
                    if expired
                    else c.ReleaseTask(JOB, node.number, node.attempt, "shutting down")
                )

    @precondition(lambda self: not self.oracle.halted)
    @rule(times=st.integers(8, 12))
    def lose_runners(self, times: int) -> None:
        """The runner of one task is lost again and again, until the task itself is held to blame."""
        for _ in range(times):
            for number in self.claim(1):
                self.do(c.ExpireLease(JOB, number, self.job.attempt[number]))

    @rule(command_id=command_ids)
    def cancel(self, command_id: str) -> None:
        self.do(c.CancelJob(JOB, command_id, "user@host", "enough"))

    @rule(command_id=command_ids)
    def retry(self, command_id: str) -> None:
        self.do(c.RetryJob(JOB, command_id, "user@host"))

    @rule(pick=picks)
    def repeat(self, pick: int) -> None:
        """Reports of an attempt that is over, or never was."""
        node = self.oracle.nodes[pick % len(self.oracle.nodes)]
        for attempt in (node.attempt, node.attempt - 1):
            if node.state != "running" or attempt != node.attempt:
                self.do(c.ReportFailed(JOB, node.number, attempt, 10, 20, ERROR))
                self.do(c.ReportComputed(JOB, node.number, attempt, 10, 20))
                self.do(c.ReleaseTask(JOB, node.number, attempt, ""))
                self.do(c.ExpireLease(JOB, node.number, attempt))

    # -- arbitrary rules ------------------------------------------------------------------------------------------

    @rule(command=arbitrary_commands)
    def ask_anything(self, command: c.Command) -> None:
        if len(self.oracle.nodes) < MANY or not getattr(command, "tasks", None):
            self.do(command)

    @rule(events=st.lists(arbitrary_events, min_size=1, max_size=4))
    def hear_anything(self, events: list[e.Event]) -> None:
        self._hear(events)

    @rule(random=lots)
    def hear_what_is_almost_right(self, random: Random) -> None:
        self._hear(_almost_right(random, self.oracle) for _ in range(8))

    def _hear(self, events: Iterable[e.Event]) -> None:
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
            if type(one) in OF_TASK:
                assert moved == set(unpacked(one.tasks) if hasattr(one, "tasks") else [one.task])  # type: ignore[union-attr]
            else:
                assert not moved

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
        now = {number for number, state in enumerate(_statuses(self.job)) if state == TaskState.COMPUTED.value}
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


def _almost_right(random: Random, oracle: Oracle) -> e.Event:
    """Return an event that may be allowed, or is not for one reason only."""
    ready = [node for node in oracle.nodes if node.ready]
    node = random.choice(ready if ready and random.random() < 0.4 else oracle.nodes)
    number, attempt = node.number, node.attempt + random.choice([0, 0, 0, 1, -1])
    alike = [other.number for other in oracle.nodes if (other.state, other.attempt) == (node.state, node.attempt)]
    some = packed(random.sample(alike, random.randint(1, min(3, len(alike)))) if random.random() < 0.5 else [number])
    facts = (number, attempt, 10, 20)
    return random.choice(
        [
            *[e.TasksClaimed("runner", attempt + 1, some)] * 4,
            e.TaskComputed(*facts),
            e.AttemptFailed(*facts, ERROR),
            e.TaskFailed(*facts, ERROR),
            e.OptionalTaskFailed(*facts, ERROR),
            e.TaskReleased(number, attempt, ""),
            e.LeaseExpired(number, attempt, "runner"),
            e.SubtasksStaged(number, attempt, next(columns(random_tasks(random, 2)))),
            e.TasksSkipped(some, number),
            e.JobRetried("again", some, 1),
            e.JobCompleted(),
            e.JobFailed(number),
            e.JobCanceled("again"),
        ]
    )


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
