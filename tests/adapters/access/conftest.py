"""A server on which every user has its own rights, with an engine and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.secured import SecuredServer, complaints


@pytest.fixture(scope="module")
def server_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredServer]:
    """The server, and nobody else."""
    server = SecuredServer(tmp_path_factory.mktemp("alone")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredServer]:
    """The server with an engine and a publisher, each a process that logs in as its user."""
    server = SecuredServer(tmp_path_factory.mktemp("secured")).start()
    server.serve("engine.e", "engine")
    server.serve("publisher.f", "feed", "run")
    try:
        yield server
    finally:
        said = server.stop()
    assert complaints(said) == {}
