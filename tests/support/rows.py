"""Rows of jobs that never were."""

from __future__ import annotations

from random import Random
from uuid import UUID

from jobledger.adapters.views.store import JobStore
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.projections.jobs import Changes, JobFilter, JobRow
from jobledger.projections.jobs.row import place_of

T0 = 1_700_000_000_000_000  # µs: 2023-11-14 22:13:20 UTC
_WORDS = ("Nightly", "import", "TILE", "straße", "50%", "a_b", "\\", '"quoted"', "O'Brien", "日本語")


def row(number: int, **fields: object) -> JobRow:
    """Return the row of the job of this number: one a second."""
    submitted = T0 + number * 1_000_000
    given: dict[str, object] = {
        "id": str(UUID(int=number)),
        "name": f"job {number}",
        "state": JobState.COMPLETED,
        "submitted": submitted,
        "place": place_of(int(fields.get("submitted", submitted)), number),  # type: ignore[call-overload]
        "position": number,
        "version": 1,
    }
    return JobRow(**(given | fields))  # type: ignore[arg-type]


def random_row(random: Random, number: int) -> JobRow:
    counts = [0, *(random.choice([0, 0, 1, 5]) for _ in TaskState)]
    return row(
        number,
        name=" ".join(random.sample(_WORDS, random.randint(1, 4))),
        state=random.choice(list(JobState)[:-1]),
        settled=random.random() < 0.5,
        counts=counts,
        submitted=T0 + random.randint(0, 5_000_000),
        started=T0,
        percent=random.randint(0, 1000) / 10,
        indicators=[("tiles", 9, 1)],
        clusters=random.sample(["default", "gpu", "cpu"], random.randint(1, 2)),
        labels=random.choice([{}, {"team": "a"}, {"team": "b", "stage": "prod"}, {"a": "b=c"}, {"a=b": "c"}]),
        root_tasks=["Root"],
        task_names=random.sample(["Root", "Load", "Save"], 2),
        reason=random.choice(["", "ValueError"]),
        message=random.choice(["", "it broke: 'x' \N{SNOWMAN}"]),
    )


def random_filter(random: Random) -> JobFilter:
    """Return a filter of one or several conditions."""

    def maybe(value: object, nothing: object) -> object:
        return value if random.random() < 0.3 else nothing

    since = T0 + random.randint(-1, 5_000_000)
    ends = sorted(str(UUID(int=random.randint(0, 60))) for _ in range(2))
    fields = {
        "since": maybe(since, None),
        "before": maybe(since + random.choice([0, 1, 700_000, 3_000_000]), None),
        "first_id": maybe(ends[0], None),
        "last_id": maybe(ends[1], None),
        "name": maybe(
            random.choice(["night", "IMPORT", "ti", "ß", "ss", "%", "_", "\\", '"', "o'b", "本語", "zz"]), ""
        ),
        "states": maybe([state.value for state in random.sample(list(JobState), 2)], []),
        "task_states": maybe([state.value for state in random.sample(list(TaskState), 2)], []),
        "clusters": maybe(random.sample(["default", "gpu", "cpu", "none"], random.randint(1, 2)), []),
        "labels": maybe(
            random.choice([{"team": ["a", "b"]}, {"team": ["b"], "stage": ["prod"]}, {"a=b": ["c"]}]), {}
        ),
        "task_names": maybe(random.sample(["Load", "Save", "None"], 2), []),
    }
    return JobFilter(**fields)  # type: ignore[arg-type]


def every_row(store: JobStore, wanted: JobFilter | None = None, *, limit: int = 1000) -> list[JobRow]:
    """Return what a view holds, page by page."""
    found: list[JobRow] = []
    while True:
        behind = found[-1].place if found else None
        page = store.page(wanted or JobFilter(), behind=behind, limit=limit).rows
        found += page
        if len(page) < limit:
            return found


def save(store: JobStore, *rows: JobRow, deleted: tuple[int, ...] = ()) -> None:
    """Save rows as the next step of a view."""
    position = store.position()
    store.save(Changes(list(rows), list(deleted)), after=position, position=position + 1)
