"""A hypothesis machine that drives the core and the oracle side by side, and compares them after every step.

Random commands alone never get far: a job of which nothing is ever computed exercises nothing. So most rules are
guided, they know what is possible and drive whole attempts; the arbitrary ones then try what should not be.
"""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.submission import NewTask, columns
from support.arbitrary import almost_right, arbitrary_commands, arbitrary_events, command_ids, picks
from support.histories import ERROR, JOB
from support.oracle import Node
from support.shapes import new_tasks, random_tasks
from support.side_by_side import MANY, SideBySide

lots = st.randoms(use_true_random=True)


class JobMachine(SideBySide):
    """One job from before its submission."""

    # -- guided rules ---------------------------------------------------------------------------------------------

    @initialize(
        roots=new_tasks(max_size=3, optional=False) | new_tasks(max_size=2),
        random=lots,
        steps=st.integers(0, 100),
        regretted=st.sampled_from([False, False, False, True]),
    )
    def submit(self, roots: list[NewTask], random: Random, steps: int, regretted: bool) -> None:
        self.do(c.SubmitJob(JOB, "a job", next(columns(roots)), "user@host"))
        if regretted:
            self.cancel("one")
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
            self.hear([almost_right(random, self.oracle)])
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
        self.hear(events)

    @rule(random=lots)
    def hear_what_isalmost_right(self, random: Random) -> None:
        self.hear(almost_right(random, self.oracle) for _ in range(8))
