"""What users have in the folder they work in: a module of tasks."""

SOURCE = """
from dataclasses import dataclass
from datetime import datetime

import jobledger
from jobledger import ExecutionContext, Runner, Task


@dataclass
class Area:
    name: str
    corners: list[tuple[float, float]]


class Tile(Task):
    area: Area
    zoom: int = 3
    at: datetime | None = None

    def execute(self, context: ExecutionContext) -> str:
        return f"{self.area.name} at {self.zoom}"


class Count(Task):
    number: int

    @staticmethod
    def identifier() -> tuple[str, str]:
        return "example.org/Count", "v1.4"

    def execute(self, context: ExecutionContext) -> int:
        return self.number + 1


class Nothing(Task):
    def execute(self, context: ExecutionContext) -> None: ...


class Elsewhere(Task):
    number: int


class Picky(Task):
    number: int

    def __post_init__(self):
        if self.number > 9:
            raise ValueError("one digit, please")


runner = Runner(tasks=[Tile])
several = [Tile, Count]
none = []
text = "no tasks"
"""
