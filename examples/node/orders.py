"""The tasks that `submit.mjs` submits: any language can ask for them, Python runs them.

Run them beside a server: `jobledger runner start orders --url nats://127.0.0.1:4222`.
"""

from __future__ import annotations

from typing import Any

from jobledger import ExecutionContext, Task


class Charge(Task):
    order: str
    amount: float

    def execute(self, context: ExecutionContext) -> str:
        if self.amount <= 0:
            raise ValueError(f"{self.amount} cannot be charged")
        return f"receipt {self.order}/{self.amount:.2f}"


class Pack(Task):
    order: str

    def execute(self, context: ExecutionContext) -> str:
        return f"parcel {self.order}"


class Ship(Task):
    """Depends on a `Charge` and a `Pack`."""

    order: str
    express: bool = False

    def execute(self, context: ExecutionContext) -> dict[str, Any]:
        receipt, parcel = context.results()
        return {"order": self.order, "express": self.express, "receipt": receipt, "parcel": parcel}
