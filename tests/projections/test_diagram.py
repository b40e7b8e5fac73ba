"""Pictures of jobs: true to the job, well-formed whatever strangers wrote, and legible at any size."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import combinations, pairwise
from random import Random
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.core import commands as c
from jobledger.core.lifecycle import JobState, TaskState
from jobledger.core.policy import CONTINUE, Policy
from jobledger.core.submission import NewTask, TaskSpec
from jobledger.projections.diagram import DIRECTIONS, THEMES, Outline, drawn, tree
from jobledger.projections.diagram.boxes import box_of
from jobledger.projections.diagram.collapse import LIMIT, Node, collapsed
from jobledger.projections.diagram.layout import Diagram, placed
from jobledger.projections.diagram.looks import Look
from jobledger.projections.diagram.palette import SHAPES, TONES
from jobledger.projections.diagram.words import MAX_WIDTH, SYMBOLS, lines_of, width
from jobledger.projections.wording import cleaned
from support.histories import JOB, STARTED, STOPPED, JobDriver, task
from support.random_history import T0, ClockedDriver, random_history
from support.views import view_of

SVG = "{http://www.w3.org/2000/svg}"
randoms = st.integers(0, 2**32).map(Random)


def outline_of(driver: JobDriver) -> Outline:
    return Outline.of(view_of(driver))


def root_with(*children: NewTask, claim: int = 0) -> JobDriver:
    driver = JobDriver(task("Root"))
    driver.run(0, *children)
    if claim:
        driver.claim(claim)
    return driver


def compute(driver: JobDriver, number: int, display: str | None = None) -> None:
    driver.do(c.ReportComputed(JOB, number, driver.job.attempt[number], STARTED, STOPPED, None, display))


def displaying(*texts: str) -> JobDriver:
    driver = root_with(*[task("Leaf") for _ in texts], claim=len(texts))
    for number, text in enumerate(texts, 1):
        compute(driver, number, text)
    return driver


def every_look() -> JobDriver:
    """A job with a task of each look, each under a name of its own."""
    goes_on = Policy(on_failure=CONTINUE)
    later = Policy(not_before=T0 + 10**9)
    driver = ClockedDriver(task("Root"))
    driver.run(
        0,
        *[task(name) for name in ("Computed", "Reused", "Canceled", "Running")],
        task("Group", optional=True),
        NewTask(TaskSpec("Failed", 1, 0, "default", policy=goes_on), b"", frozenset()),
        task("Abandoned", after=[5]),
        NewTask(TaskSpec("Delayed", 1, 0, "default", policy=later), b"", frozenset()),
        task("Queued", after=[3]),
    )
    driver.run(5, task("FailedOptional"), task("Skipped", after=[0]))
    numbers = {one.name: one.number for one in view_of(driver).tasks}
    driver.do(c.CancelTask(JOB, "cancel", numbers["Canceled"]))
    driver.claim(9)
    driver.compute(numbers["Computed"])
    driver.do(c.ReportReused(JOB, numbers["Reused"], driver.job.attempt[numbers["Reused"]], 1, 2, "job", 0))
    driver.fail(numbers["FailedOptional"])
    driver.fail(numbers["Failed"])
    assert set(driver.counts) == set(TaskState)
    return driver


def titles(nodes: Iterable[Node]) -> list[str]:
    return [" ".join(lines_of(node)) for node in nodes]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def text_of(outline: Outline) -> str:
    return "\n".join("".join(piece.text for piece in line) for line in tree(outline))


# -- nodes ------------------------------------------------------------------------------------------------------------


def test_tasks_that_differ_have_nodes_of_their_own() -> None:
    nodes = collapsed(outline_of(displaying("Leaf Nr. 0", "Leaf Nr. 1", "Leaf Nr. 2")))
    assert titles(nodes) == ["Root", "Leaf Nr. 0", "Leaf Nr. 1", "Leaf Nr. 2"]
    assert [node.children for node in nodes] == [[1, 2, 3], [], [], []]


def test_siblings_that_are_alike_share_a_node() -> None:
    driver = root_with(*[task("Leaf") for _ in range(9)], task("Other"), claim=6)
    for number in (1, 2, 3):
        compute(driver, number)
    nodes = collapsed(outline_of(driver))
    assert titles(nodes) == ["Root", "Leaf × 3", "Leaf × 3", "Leaf × 3", "Other"]  # noqa: RUF001
    assert [next(iter(node.looks)).name for node in nodes[1:4]] == ["COMPUTED", "RUNNING", "QUEUED"]


def test_siblings_with_the_same_below_share_a_node_and_others_do_not() -> None:
    driver = root_with(*[task("Branch") for _ in range(3)])
    driver.run(1, task("Leaf"), task("Leaf"))
    driver.run(2, task("Leaf"))
    driver.run(3, task("Leaf"), task("Leaf"))
    nodes = collapsed(outline_of(driver))
    assert titles(nodes) == ["Root", "Branch × 2", "Branch", "Leaf × 4", "Leaf"]  # noqa: RUF001
    assert [nodes[1].children, nodes[2].children] == [[3], [4]]


def test_dependencies_are_between_nodes() -> None:
    driver = root_with(
        *[task("Load") for _ in range(5)],
        task("Join", after=[0, 1, 2, 3]),
        task("Join", after=[0, 1, 2, 3]),
        task("Report", after=[5, 6]),
    )
    nodes = collapsed(outline_of(driver))
    assert titles(nodes) == ["Root", "Load × 4", "Load", "Join × 2", "Report"]  # noqa: RUF001
    assert [node.after for node in nodes] == [[], [], [], [1], [3]]


def test_cousins_wait_alike_wherever_they_are() -> None:
    driver = root_with(task("Branch"), task("Branch"))
    for number in (1, 2):
        driver.run(number, task("Load"), task("Save", after=[0]))
    assert titles(collapsed(outline_of(driver))) == [
        "Root",
        "Branch × 2",  # noqa: RUF001
        "Load × 2",  # noqa: RUF001
        "Save × 2",  # noqa: RUF001
    ]


def test_too_many_texts_make_one_node_that_names_some() -> None:
    nodes = collapsed(outline_of(displaying(*[f"movie {number}" for number in range(LIMIT + 50)])))
    assert titles(nodes) == ["Root", "Leaf × 350"]  # noqa: RUF001
    assert nodes[1].examples == [f"movie {number}" for number in range(5)]


def test_a_node_of_several_states_tells_how_many_are_in_each() -> None:
    driver = root_with(*[task("Step", after=[number - 1] if number else []) for number in range(1000)])
    for number in range(1, 400):
        driver.claim()
        compute(driver, number, f"step {number}")
    nodes = collapsed(outline_of(driver), limit=4)
    assert titles(nodes) == ["Root", "Step × 1,000"]  # noqa: RUF001
    assert nodes[1].looks == {Look.QUEUED: 601, Look.COMPUTED: 399}
    assert nodes[1].chained
    box = box_of(nodes[1])
    assert box.chips == [(Look.QUEUED, "601"), (Look.COMPUTED, "399")]
    assert "some wait for others" in texts(drawn(outline_of(driver)))


@given(randoms, st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_every_task_is_in_exactly_one_node(random: Random, limit: int) -> None:
    outline = outline_of(random_history(random))
    nodes = collapsed(outline, limit)
    assert sum(node.count for node in nodes) == len(outline.looks)
    looks: Counter[Look] = Counter()
    for node in nodes:
        assert sum(node.looks.values()) == node.count
        looks.update(node.looks)
    assert looks == Counter(map(Look, outline.looks))
    assert len(nodes) < 2 * limit + 2
    direct = [number for node in nodes for number in node.tasks]
    assert len(direct) == len(set(direct))
    for index, node in enumerate(nodes):
        assert all(nodes[child].parent == index for child in node.children)
        assert all(nodes[other].parent == node.parent for other in node.after)


@given(randoms)
@settings(max_examples=40, deadline=None)
def test_every_dependency_is_drawn(random: Random) -> None:
    view = view_of(random_history(random))
    nodes = collapsed(Outline.of(view))
    node_of = {number: index for index, node in enumerate(nodes) for number in node.tasks}
    for one in view.tasks:
        mine = nodes[node_of[one.number]]
        for other in one.depends_on.numbers:
            assert node_of[other] in mine.after or (mine.chained and other in mine.tasks)


# -- the drawing ------------------------------------------------------------------------------------------------------


@given(randoms, st.sampled_from(DIRECTIONS), st.sampled_from(THEMES))
@settings(max_examples=40, deadline=None)
def test_it_is_well_formed_and_always_the_same(random: Random, direction: str, theme: str) -> None:
    driver = random_history(random)
    svg = drawn(outline_of(driver), direction=direction, theme=theme)
    assert svg == drawn(outline_of(driver), direction=direction, theme=theme)
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert not [element for element in root.iter() if "id" in element.attrib]


def rectangles(diagram: Diagram, *, sideways: bool) -> list[tuple[float, float, float, float]]:
    found = []
    for box, (along, across) in zip(diagram.boxes, diagram.places, strict=True):
        long, broad = (box.width, box.height) if sideways else (box.height, box.width)
        found.append((along, across, along + long, across + broad))
    return found


@given(randoms, st.booleans())
@settings(max_examples=60, deadline=None)
def test_nodes_do_not_overlap_and_no_line_crosses_one(random: Random, sideways: bool) -> None:
    diagram = placed(collapsed(outline_of(random_history(random))), sideways=sideways)
    boxes = rectangles(diagram, sideways=sideways)
    for a, b in combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for box in boxes:
        assert box[0] >= 0
        assert box[1] >= 0
        assert box[2] <= diagram.along
        assert box[3] <= diagram.across
    for line in [*diagram.branches, *diagram.waits, *diagram.arrows]:
        for (a0, c0), (a1, c1) in pairwise(line):
            assert a0 == pytest.approx(a1) or c0 == pytest.approx(c1)
            for box in boxes:
                inside = min(a0, a1) < box[2] - 0.1 and max(a0, a1) > box[0] + 0.1
                assert not (inside and min(c0, c1) < box[3] - 0.1 and max(c0, c1) > box[1] + 0.1)


def test_text_fits_its_box() -> None:
    outline = outline_of(displaying("W" * 500, "short", "first line\nsecond line, which is the longer one"))
    diagram = placed(collapsed(outline), sideways=False)
    for box in diagram.boxes:
        assert all(width(line) <= MAX_WIDTH + 4 for line in box.lines)
        assert all(width(line) * 13 + 10 <= box.width for line in box.lines)


def test_directions_turn_the_picture() -> None:
    outline = outline_of(displaying("one", "two"))
    where: dict[str, tuple[float, float, float, float]] = {}
    for direction in DIRECTIONS:
        found = {
            element.text: (float(element.attrib["x"]), float(element.attrib["y"]))
            for element in ElementTree.fromstring(drawn(outline, direction=direction)).iter(f"{SVG}text")
        }
        where[direction] = found["Root"] + found["one"]
    assert where["down"][1] < where["down"][3]
    assert where["up"][1] > where["up"][3]
    assert where["right"][0] < where["right"][2]
    assert where["left"][0] > where["left"][2]


def test_themes() -> None:
    outline = outline_of(displaying("one"))
    light, dark, auto = (drawn(outline, theme=theme) for theme in ("light", "dark", "auto"))
    assert "prefers-color-scheme" in auto
    assert "prefers-color-scheme" not in light + dark
    assert "#ffffff" in light
    assert "#ffffff" not in dark


def test_each_look_has_a_shape_and_a_symbol_of_its_own() -> None:
    assert len(set(SHAPES.values())) == len(set(SYMBOLS.values())) == len(Look)
    assert {look.state for look in Look} == set(TaskState)
    outline = outline_of(every_look())
    svg = drawn(outline)
    for look in Look:
        filled, line = SHAPES[look]
        with_legend = 1 + outline.looks.count(look.value)
        assert svg.count(f'd="{line or filled}"') == with_legend
        assert SYMBOLS[look] in text_of(outline)
    assert [text for text in texts(svg) if text[0].isdigit()] == [
        "1 queued",
        "1 delayed",
        "1 running",
        "3 computed",
        "1 reused",
        "1 failed",
        "1 skipped",
        "1 failed optional",
        "1 canceled",
        "1 abandoned",
    ]


def test_colours_tell_looks_apart_on_light_and_on_dark() -> None:
    for dark in (False, True):
        strong = {look.state: tones[dark][0] for look, tones in TONES.items()}
        assert len(set(strong.values())) == len(TaskState)


def test_a_delayed_task_is_a_queued_one_once_its_time_has_come() -> None:
    later = Policy(not_before=T0 + 10**6)
    view = view_of(ClockedDriver(NewTask(TaskSpec("Later", 1, 0, "default", policy=later), b"", frozenset())))
    assert list(Outline.of(view).looks) == [Look.DELAYED.value]
    assert list(Outline.of(view.at(T0 + 10**6)).looks) == [Look.QUEUED.value]


def test_reused_tasks_do_not_share_a_node_with_computed_ones() -> None:
    driver = root_with(*[task("Leaf") for _ in range(4)], claim=4)
    for number in (1, 2):
        compute(driver, number)
    for number in (3, 4):
        driver.do(c.ReportReused(JOB, number, 1, 1, 2, "job", 0))
    assert text_of(outline_of(driver)).split("\n")[2:] == [
        "   ├─ ✓ Leaf × 2",  # noqa: RUF001
        "   └─ ↺ Leaf × 2  reused",  # noqa: RUF001
    ]


def test_a_long_text_is_shown_whole_where_there_is_room() -> None:
    words = [f"word{number}" for number in range(130)]
    text = " ".join(words)[:1000] + "\nlast line"
    (lone,) = [node for node in collapsed(outline_of(displaying(text, "other"))) if node.text == text]
    lines = lines_of(lone, whole=True)
    assert " ".join(lines) == text.replace("\n", " ")
    assert all(width(line) <= MAX_WIDTH for line in lines)
    drawn_texts = texts(drawn(outline_of(displaying(text, "other"))))
    assert set(lines) <= set(drawn_texts)
    among_many = [f"{number} {text}" for number in range(100)]
    assert len(max(texts(drawn(outline_of(displaying(*among_many)))), key=len)) <= 100


# -- what strangers write ---------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert('x')</script>",
    "</text></svg><svg onload=alert(1)>",
    "]]>&amp;&#0;<!--",
    "\x00\x07\x1b[31mred\x1b[0m\x7f\x9b",
    "half \ud800 a character \udfff",
    "no \ufffe\uffff characters",
    "\u202eturned around\u202c",
    "x" * 1024,
    "\n".join("line" for _ in range(300)),
    "\r\n\t\r",
    "日本語の表示名" * 100,
    "\U0001f600" * 1024,
    "e" + "\u0301" * 500,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_shown_as_text(text: str) -> None:
    view = view_of(displaying("harmless", "two"))
    view.displays[1] = text  # no matter what an event of another client may hold
    outline = Outline.of(view)._replace(name=text)
    svg = drawn(outline)
    root = ElementTree.fromstring(svg.encode())
    known = {f"{SVG}{tag}" for tag in ("svg", "style", "rect", "path", "g", "text", "title")}
    assert {element.tag for element in root.iter()} <= known
    allowed = "xmlns,width,height,viewBox,class,role,aria-label,rx,x,y,d,transform"
    assert {name for element in root.iter() for name in element.attrib} <= set(allowed.split(","))
    lines = text_of(outline).encode().decode().split("\n")
    assert len(lines) == 4
    assert not [char for line in lines for char in line if unicodedata.category(char) in ("Cc", "Cs")]
    assert len(svg) < 40_000


def test_script_is_readable_as_written() -> None:
    assert "<script>alert('x')</script>" in texts(drawn(outline_of(displaying(HOSTILE[0], "two"))))


@given(st.text(st.characters(), max_size=1100))
def test_cleaned_text_is_possible_in_xml(text: str) -> None:
    clean = cleaned(text)
    assert len(clean) <= 1024
    assert cleaned(clean) == clean
    parsed = ElementTree.fromstring(f"<a>{clean.replace('&', '&amp;').replace('<', '&lt;')}</a>")
    assert (parsed.text or "") == clean


# -- size -------------------------------------------------------------------------------------------------------------


def fan_out(count: int) -> JobDriver:
    driver = root_with(
        *[task("Leaf") for _ in range(count - 2)], task("End", after=range(count - 2)), claim=count // 2
    )
    for number in range(1, count // 4):
        compute(driver, number, f"leaf {number}\U0001f600" * 20)
    return driver


def branches(count: int) -> JobDriver:
    driver = root_with(*[task("Branch") for _ in range(300)], claim=300)
    for number in range(1, 301):
        leaves = [task(f"Leaf{number % 7}") for _ in range(count // 300 - 2)]
        driver.compute(number, *leaves, task("Join", after=range(number % 11 + 1)))
    return driver


def chain(count: int) -> JobDriver:
    return root_with(*[task("Step", after=[number - 1] if number else []) for number in range(count - 1)])


def tangle(count: int) -> JobDriver:
    """Each waits for five of those before it, by lot."""
    random = Random(5)
    return root_with(
        *[task(f"Step{n % 7}", after=random.sample(range(n), min(n, 5))) for n in range(count - 1)]
    )


def kinds(count: int) -> JobDriver:
    return root_with(*[task(f"Kind{number}") for number in range(count - 1)])


def generations(count: int) -> JobDriver:
    driver = JobDriver(task("Child"))
    for _ in range(count - 1):
        (number,) = driver.claim()
        driver.compute(number, task("Child"))
    return driver


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (fan_out, 100_000),
        (branches, 99_900),
        (chain, 100_000),
        (tangle, 20_000),
        (kinds, 20_000),
        (generations, 5_000),
    ],
)
def test_a_large_job_makes_a_small_picture(make: object, count: int) -> None:
    assert callable(make)
    outline = outline_of(make(count))
    svg = drawn(outline, direction="right")
    nodes = collapsed(outline)
    assert sum(node.count for node in nodes) == len(outline.looks) >= count - 300
    assert len(nodes) <= 2 * LIMIT
    assert len(svg.encode()) < 1_000_000
    ElementTree.fromstring(svg)
    assert len(tree(outline)) == len(nodes) + 1


def test_long_texts_do_not_make_a_large_file() -> None:
    lines = "\n".join(["\U0001f600" + "&" * 160] * 6)
    outline = outline_of(displaying(*[f"{number} {lines}" for number in range(LIMIT - 1)]))
    assert len(collapsed(outline)) == LIMIT
    assert len(drawn(outline).encode()) < 1_000_000


# -- the tree in text -------------------------------------------------------------------------------------------------


def test_the_tree_in_text() -> None:
    driver = root_with(*[task("Load") for _ in range(4)], task("Save", after=range(4)), claim=2)
    compute(driver, 1, "load\nthe first")
    outline = outline_of(driver)
    assert outline.state is JobState.RUNNING
    assert text_of(outline).split("\n") == [
        "a job · RUNNING · 6 tasks",
        "└─ ✓ Root",
        "   ├─ ✓ load the first",
        "   ├─ ▶ Load  running",
        "   ├─ ○ Load × 2  queued",  # noqa: RUF001
        "   └─ ○ Save  queued  (after load the first, Load, Load × 2)",  # noqa: RUF001
    ]
