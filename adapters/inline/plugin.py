"""A pytest plugin: the fixture `inline_client`, and the story of its jobs under a test that failed.

Installed with jobledger; `pytest --jobledger-url nats://localhost:4222` has the same tests write to a real log.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from .client import InlineClient

_STORIES = 5  # jobs shown under a failed test
_client_key: pytest.StashKey[InlineClient] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("jobledger").addoption(
        "--jobledger-url",
        default=None,
        metavar="URL",
        help="have inline_client write to the log of this NATS server, instead of to memory",
    )


@pytest.fixture
def inline_client(request: pytest.FixtureRequest) -> Generator[InlineClient, None, None]:
    """Run jobs in this process, one task after another, on a virtual clock: see `jobledger.testing.InlineClient`."""
    from .client import InlineClient

    url = request.config.getoption("--jobledger-url")
    with InlineClient(url, namespace=f"test-{uuid4().hex[:12]}") as client:
        request.node.stash[_client_key] = client
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    client = item.stash.get(_client_key, None)
    if report.when == "call" and report.failed and client is not None:
        for job in client.submitted[:_STORIES]:
            report.sections.append((f"jobledger job {job.name!r}", str(job.history)))
    return report
