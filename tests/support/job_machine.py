"""A hypothesis machine that drives the core and the oracle side by side, and compares them after every step.

Random commands alone never get far: a job of which nothing is ever computed exercises nothing. So most rules are
guided, they know what is possible and drive whole attempts; the arbitrary ones then try what should not be.
"""

from __future__ import annotations

from random import Random

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from jobledger.core import commands as c
from jobledger.core import events as e
from jobledger.core.submission import NewTask, columns
from support.arbitrary import (
    almost_right,
    arbitrary_commands,
    arbitrary_events,
    command_ids,
    job_options,
    picks,
)
from support.histories import A_VALUE, ERROR, JOB
from support.oracle import LOST, Node
from support.shapes import new_tasks, random_tasks
from support.side_by_side import MANY, SideBySide

ERASE = c.EraseJob(JOB)
lots = st.randoms(use_true_random=True)
graces = st.sampled_from([-1, -1, 0, 5, 7])


class JobMachine(SideBySide):
    """One job from before its submission."""

    roots: list[NewTask]

    # -- guided rules ---------------------------------------------------------------------------------------------

    @initialize(
        roots=new_tasks(max_size=3, optional=False) | new_tasks(max_size=2),
        options=st.none() | job_options,
        random=lots,
        steps=st.integers(0, 100),
        regretted=st.sampled_from(["", "", "", "", "job", "task", "time", "all"]),
    )
    def submit(
        self, roots: list[NewTask], options: e.JobOptions | None, random: Random, steps: int, regretted: str
    ) -> None:
        self.roots, self.options = roots, options or e.JobOptions()
        self.do(c.SubmitJob(JOB, "a job", next(columns(roots)), "user@host", options))
        if regretted == "job":
            self.cancel("one")
        elif regretted == "task":
            for number in random.sample(range(len(roots)), random.randint(1, len(roots))):
                self.cancel_task(f"regret-{number}", number)
            self.retry("two")
        elif regretted == "time":
            self.let_time_pass(50)
        self.live(random, steps)
        if regretted == "all":
            for number in self.claim(3):
                self.cancel_task(f"regret-{number}", number)
            self.delete("one", random.random() < 0.7)
            self.live(random, 10)

    @rule(limit=st.integers(1, 4))
    def claim_some(self, limit: int) -> None:
        self.claim(limit)

    @rule(kinds=st.lists(st.integers(0, 5), max_size=3), limit=st.integers(1, 3))
    def claim_some_kinds(self, kinds: list[int], limit: int) -> None:
        self.do(c.ClaimTasks(JOB, "other runner", kinds, limit, self.slots()))

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
            running = self.oracle.running()
            if self.oracle.halted and random.random() < (0.1 if running else 0.5):
                self._try_again(random)
            if running and random.random() < 0.5:
                self._end_an_attempt(random, running)
            else:
                self._do_something_else(random)

    @rule(random=lots)
    def get_into_trouble(self, random: Random) -> None:
        """Several tasks are lost, or about to be, and one of them is tried again. Best those that others wait for."""
        self.claim(MANY)
        running = self.oracle.running()
        awaited = {other for node in self.oracle.nodes if node.state == "queued" for other in node.waits_for}
        running = [node for node in running if node in awaited and random.random() < 0.8] or running
        for node in random.sample(running, min(3, len(running))):
            if random.random() < 0.5:
                self.fail(node, 1, final=True)
            else:
                self.cancel_task(f"trouble-{self.now}", node.number)
                if random.random() < 0.3:
                    self.compute(node.number)
        self._try_again(random)

    def _try_again(self, random: Random) -> None:
        nodes = [node for node in self.oracle.nodes if node.state in LOST or node.unwanted or node.request]
        part = random.choice(nodes).number if nodes and random.random() < 0.5 else -1
        self.retry(f"retry-{random.randrange(99)}", part, random.choice([0, 0, 0, self.now + 30]))

    def _do_something_else(self, random: Random) -> None:
        weights = {
            "claim": 12,
            "hear": 3,
            "repeat": 2,
            "to and fro": 1,
            "cancel": 4 if self.oracle.halted and self.oracle.running() else 0.7,
            "cancel a task": 2,
            "retry": 2,
            "wait": 2,
            "trouble": 1,
            "submit": 0.2,
            "delete": 0.7 if self.job.settled else 0.1,
            "lose": 0.2,
        }
        what = random.choices([*weights], [*weights.values()])[0]
        if what == "claim":
            self.claim(random.choice([1, 1, 2, 3, MANY]))
        elif what == "hear":
            self.hear([almost_right(random, self.oracle)])
        elif what == "repeat":
            self.repeat(random.randrange(MANY))
            self.repeat_a_command(random.randrange(MANY))
        elif what == "to and fro":
            claimed = self.claim(random.randint(2, 3))
            for number in reversed(claimed):
                self.do(c.ReleaseTask(JOB, number, self.job.attempt[number], "shutting down"))
            self.claim(len(claimed))
        elif what == "lose" and not self.oracle.halted:
            self.lose_runners(11)
        elif what == "cancel":
            self.cancel(f"cancel-{self.now}", random.choice([-1, -1, 0, 7]))
        elif what == "cancel a task":
            self.cancel_task(f"cancel-{self.now}", random.randrange(MANY), random.choice([-1, -1, 0, 7]))
        elif what == "retry":
            self._try_again(random)
        elif what == "trouble":
            self.get_into_trouble(random)
        elif what == "wait" and random.random() < 0.5:
            self.meet_the_deadline()
        elif what == "wait":
            self.let_time_pass(random.choice([5, 20, 60]))
        elif what == "submit":
            self.submit_again(random.choice(["", "name", "tasks", "fewer", "inputs", "labels", "cluster"]))
        elif what == "delete":
            self.delete(f"delete-{self.now}", random.random() < 0.2)

    def _end_an_attempt(self, random: Random, running: list[Node]) -> None:
        asked = [node for node in running if node.request]
        node = random.choice(asked if asked and random.random() < 0.5 else running)
        # nothing happens any more to a job that is completed: the last tasks get subtasks, or end in another way
        last = self.oracle.unfinished < 3 and not self.oracle.halted
        weights = {"compute": 12, "fail": 4, "release": 2, "expire": 2, "stage": 2, "cancel": 1}
        weights |= {"stop": 5 if node.request else 1, "reuse": 1, "progress": 1}
        if last:
            weights |= {"fail": 12, "cancel": 8}
        what = random.choices([*weights], [*weights.values()])[0]
        number, attempt = node.number, node.attempt
        if what == "compute":
            self.compute(number, random_tasks(random) if last or random.random() < 0.3 else ())
        elif what == "fail":
            self.fail(node, random.choice([1, 4]), final=random.random() < 0.2)
        elif what == "release":
            self.do(c.ReleaseTask(JOB, number, attempt, "shutting down"))
        elif what == "expire":
            self.do(c.ExpireLease(JOB, number, attempt, alone=number % 2 == 0))
        elif what == "stop":
            self.do(c.ReportCanceled(JOB, number, attempt, 10, 20, "shown"))
        elif what == "reuse":
            self.do(c.ReportReused(JOB, number, attempt, 10, 20, "job-0", 7, A_VALUE))
        elif what == "progress":
            self.do(c.ReportProgress(JOB, number, attempt, 10, [e.Progress("", 4, 2)], "shown"))
        elif what == "stage":
            self.stage(node, random_tasks(random))
        elif random.random() < 0.5:
            self.cancel(random.choice(["one", "two", f"cancel-{self.now}"]), random.choice([-1, 0, 7]))
        else:
            command_id = random.choice(["one", "two", f"cancel-{self.now}"])
            self.cancel_task(command_id, number, random.choice([-1, 0, 7]))

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
    @rule(pick=picks, times=st.integers(1, 4), final=st.booleans())
    def fail_one(self, pick: int, times: int, final: bool) -> None:
        self.fail(self.some("running", pick), times, final=final)

    @precondition(lambda self: self.oracle.count("running"))
    @rule(picked=st.lists(picks, min_size=1, max_size=3), expired=st.booleans())
    def give_back(self, picked: list[int], expired: bool) -> None:
        for pick in picked:
            if self.oracle.count("running"):
                node = self.some("running", pick)
                self.do(
                    c.ExpireLease(JOB, node.number, node.attempt, alone=pick % 2 == 0)
                    if expired
                    else c.ReleaseTask(JOB, node.number, node.attempt, "shutting down")
                )

    @precondition(lambda self: not self.oracle.halted)
    @rule(times=st.integers(8, 12))
    def lose_runners(self, times: int) -> None:
        """The runner of one task is lost again and again, until the task itself is held to blame."""
        for _ in range(times):
            for number in self.claim(1):
                self.do(c.ExpireLease(JOB, number, self.job.attempt[number], alone=True))

    @rule(time=st.sampled_from([1, 5, 20, 60, 500]))
    def let_time_pass(self, time: int) -> None:
        self.now += time
        self.wake()
        self.do(c.ExpireJob(JOB))

    @rule()
    def meet_the_deadline(self) -> None:
        """Look a moment too early, and at the right moment."""
        self.now = max(self.now, self.job.deadline - 2)
        self.do(c.ExpireJob(JOB))
        self.do(c.ExpireJob(JOB))

    @rule(change=st.sampled_from(["", "name", "tasks", "fewer", "inputs", "labels", "cluster"]))
    def submit_again(self, change: str) -> None:
        """Under an idempotency key: what was submitted, or something else."""
        tasks = list(self.roots)
        if change == "tasks":
            tasks.append(tasks[0])
        elif change == "fewer":
            tasks = tasks[:-1] or tasks
        elif change == "inputs":
            tasks[-1] = tasks[-1]._replace(input=b"other")
        elif change == "cluster":
            tasks[-1] = tasks[-1]._replace(spec=msgspec.structs.replace(tasks[-1].spec, cluster="another"))
        name = "another" if change == "name" else "a job"
        options = msgspec.structs.replace(self.options, key="again")
        if change == "labels":
            options = msgspec.structs.replace(options, labels={"another": "label"})
        self.do(c.SubmitJob(JOB, name, next(columns(tasks)), "user@host", options))

    @rule(command_id=command_ids, grace=graces)
    def cancel(self, command_id: str, grace: int = -1) -> None:
        self.do(c.CancelJob(JOB, command_id, "user@host", "enough", grace))

    @rule(command_id=command_ids, pick=picks, grace=graces)
    def cancel_task(self, command_id: str, pick: int, grace: int = -1) -> None:
        number = pick % len(self.oracle.nodes)
        self.do(c.CancelTask(JOB, command_id, number, "user@host", f"enough of {number}", grace))

    @rule(command_id=command_ids, part=st.just(-1) | picks, deadline=st.just(0) | st.integers(0, 500))
    def retry(self, command_id: str, part: int = -1, deadline: int = 0) -> None:
        part = part % len(self.oracle.nodes) if part > 0 else part
        self.do(c.RetryJob(JOB, command_id, "user@host", part, deadline))

    @precondition(lambda self: len(self.commits) > 20)
    @rule(command_id=command_ids, force=st.booleans())
    def delete(self, command_id: str, force: bool) -> None:
        """What is sealed is erased after it, and there is no second time."""
        self.do(c.DeleteJob(JOB, command_id, "user@host", "old", force))
        self.hear([e.JobErased("keys/2")])
        for _ in range(2):
            self.do(ERASE)

    @rule(pick=picks)
    def repeat(self, pick: int) -> None:
        """Reports of an attempt that is over, or never was."""
        node = self.oracle.nodes[pick % len(self.oracle.nodes)]
        for attempt in (node.attempt, node.attempt - 1):
            if node.state != "running" or attempt != node.attempt:
                self.do(c.ReportFailed(JOB, node.number, attempt, 10, 20, ERROR))
                self.do(c.ReportComputed(JOB, node.number, attempt, 10, 20))
                self.do(c.ReportReused(JOB, node.number, attempt, 10, 20, "job-0", 7))
                self.do(c.ReportCanceled(JOB, node.number, attempt, 10, 20))
                self.do(c.ReportProgress(JOB, node.number, attempt, 10))
                self.do(c.ReleaseTask(JOB, node.number, attempt, ""))
                self.do(c.ExpireLease(JOB, node.number, attempt))

    @precondition(lambda self: self.asked)
    @rule(pick=picks)
    def repeat_a_command(self, pick: int) -> None:
        """One that had its effect some time ago."""
        if self.asked:
            self.repeat_command(self.asked[pick % len(self.asked)])

    # -- arbitrary rules ------------------------------------------------------------------------------------------

    @rule(command=arbitrary_commands)
    def ask_anything(self, command: c.Command) -> None:
        if len(self.oracle.nodes) < MANY or not getattr(command, "tasks", None):
            self.do(command)

    @rule(events=st.lists(arbitrary_events, min_size=1, max_size=4))
    def hear_anything(self, events: list[e.Event]) -> None:
        self.hear(events)

    @rule(random=lots)
    def hear_what_is_almost_right(self, random: Random) -> None:
        self.hear(almost_right(random, self.oracle) for _ in range(8))
