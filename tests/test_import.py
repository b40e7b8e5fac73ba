"""Importing jobledger, submitting and running tasks: light, and without a trace in the user's process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import jobledger
import jobledger.cache
import jobledger.data
import jobledger.errors

SOURCES = Path(jobledger.__file__).parent.parent


def run(code: str) -> dict[str, object]:
    """Run code in a fresh interpreter and return what it leaves in `result`."""
    program = (
        f"import sys\nsys.path.insert(0, {str(SOURCES)!r})\n{code}\nimport json\nprint(json.dumps(result))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


LOADED = """
heavy = ("nats", "statemachine", "eventsourcing", "asyncio", "msgspec", "rich", "structlog", "opentelemetry")
result = {"loaded": [name for name in heavy if name in sys.modules]}
"""


def test_importing_jobledger_loads_next_to_nothing() -> None:
    code = f"""
import os, threading, signal
before = set(sys.modules), dict(os.environ), threading.active_count(), signal.getsignal(signal.SIGINT)
import jobledger
after = set(sys.modules), dict(os.environ), threading.active_count(), signal.getsignal(signal.SIGINT)
{LOADED}
result["new"] = sorted(after[0] - before[0])
result["same"] = before[1:] == after[1:]
"""
    result = run(code)
    assert result["loaded"] == []
    assert result["same"] is True
    assert isinstance(result["new"], list)
    # the number, not the milliseconds: those depend on what else the machine does
    assert len(result["new"]) < 10, result["new"]


def test_a_runner_process_loads_no_more_than_it_needs_to_begin() -> None:
    """A killed one is to be back soon: what only some tasks use is loaded when they do."""
    code = f"import jobledger.adapters.cli.runner, jobledger.adapters.runner.runner\n{LOADED}"
    loaded = run(code)["loaded"]
    assert isinstance(loaded, list)
    assert {"structlog", "rich", "eventsourcing"}.isdisjoint(loaded), loaded


def test_importing_jobledger_is_quick() -> None:
    code = """
import time
began = time.perf_counter()
import jobledger
result = {"seconds": time.perf_counter() - began}
"""
    # measured 2-3 ms; the best of several, as other processes may have the machine
    assert min(run(code)["seconds"] for _ in range(5)) < 0.02  # type: ignore[type-var, operator]


@pytest.mark.parametrize(
    "uses",
    [
        "from jobledger.adapters.client import client, job, jobs, requests; from jobledger.adapters import link",
        "import jobledger.adapters.runner.runner",
        "import jobledger.adapters.engine.run",
        "import jobledger.data; [getattr(jobledger.data, name) for name in jobledger.data.__all__]",
        "import jobledger; [getattr(jobledger, name) for name in jobledger.__all__]",
        "import jobledger.cache, jobledger.errors",
    ],
)
def test_nothing_a_user_runs_loads_eventsourcing_which_patches_dataclasses(uses: str) -> None:
    code = f"""
import dataclasses, inspect
before = dataclasses.dataclass, dataclasses.field, inspect.getsource(dataclasses._process_class)
{uses}
{LOADED}
result["patched"] = before != (
    dataclasses.dataclass, dataclasses.field, inspect.getsource(dataclasses._process_class)
)
"""
    result = run(code)
    assert "eventsourcing" not in result["loaded"]  # type: ignore[operator]
    assert result["patched"] is False


@pytest.mark.parametrize("module", [jobledger, jobledger.data, jobledger.cache, jobledger.errors])
def test_the_lazy_names_are_those_that_are_promised(module: object) -> None:
    homes = vars(module)["_HOMES"]
    assert [*homes] == [name for name in vars(module)["__all__"] if name != "__version__"]
    with pytest.raises(AttributeError, match="has no attribute 'Jobs'"):
        module.Jobs  # type: ignore[attr-defined]  # noqa: B018
