"""`jobledger job`: submit, look at, wait for, and step into jobs."""

from __future__ import annotations

from ..help_page import App

app = App(name="job", help="Submit, look at, wait for, and step into jobs.")
app.offer(
    "list",
    f"{__name__}.reading:list_",
    "List jobs, the newest first; those of a moment of the past, with --at.",
)
app.offer(
    "show", f"{__name__}.reading:show", "Show how a job stands, since when, and why it failed if it did."
)
app.offer("submit", f"{__name__}.submitting:submit", "Submit a job and print its id.")
app.offer(
    "wait", f"{__name__}.following:wait", "Wait until a job is settled; the exit code says how it ended."
)
app.offer(
    "watch",
    f"{__name__}.following:watch",
    "Print how a job stands whenever that changes, until it is settled.",
)
app.offer(
    "tasks",
    f"{__name__}.reading:tasks",
    "List the tasks of a job in order of submission, and why each one waits.",
)
app.offer(
    "history", f"{__name__}.reading:history", "Print everything that happened to a job, as the log has it."
)
app.offer(
    "logs", f"{__name__}.following:logs", "Print what the tasks of a job logged, the oldest lines first."
)
app.offer("result", f"{__name__}.reading:result", "Print what the root task of a job returned, as JSON.")
app.offer(
    "diagram",
    f"{__name__}.reading:diagram",
    "Draw the tasks of a job: as a tree of text, or as SVG to a file.",
)
app.offer(
    "cancel",
    f"{__name__}.intervening:cancel",
    "Cancel a job, one task with its subtree, or all that are selected.",
)
app.offer(
    "retry",
    f"{__name__}.intervening:retry",
    "Resume a failed or canceled job, one task of it, or all that are selected.",
)
app.offer(
    "fork",
    f"{__name__}.forking:fork",
    "Start a new job that goes on where an old one was, and print its id.",
)
app.offer("delete", f"{__name__}.intervening:delete", "Delete a settled job, or all that are selected.")
