"""How large a log may become, and what becomes of a submission that it has no room for, at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobledger import Client, Task
from jobledger.adapters.cli.sizes import size_from
from jobledger.adapters.embedded.limiting import limit_server
from jobledger.adapters.nats.endpoint import Endpoint
from jobledger.adapters.nats.names import DEFAULT_NAMESPACE, Names
from jobledger.adapters.portal import shared_portal
from jobledger.errors import JobLedgerError, LogFull
from support.command_line import CommandLine
from support.engines import EngineHarness
from support.processes import engine_process
from support.servers import NatsServer


class Anything(Task):
    """There is never room for it."""


def max_bytes(client: Client, names: Names) -> int | None:
    link = shared_portal().run(client._session.link())
    return shared_portal().run(link.nc.jetstream().stream_info(names.log_stream)).config.max_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("700", 700), ("1.5kB", 1500), ("10GB", 10**10), ("64 mib", 2**26), ("2TiB", 2**41)],
)
def test_sizes_are_written_as_people_do(text: str, size: int) -> None:
    assert size_from(text) == size


@pytest.mark.parametrize("text", ["", "-5MB", "5 MX", "GB", "1e9", "٣MB"])
def test_what_is_no_size_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="such as 500MB, 10GB or 64MiB"):
        size_from(text)


def test_an_engine_limits_the_log_and_a_submission_beyond_that_has_an_error_and_an_exit_code_of_its_own(
    nats_server: NatsServer, names: Names, cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work.py").write_text("from jobledger import Task\n\n\nclass Anything(Task):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    engine = engine_process(nats_server.url, names.namespace, lease=15, more=("--max-bytes", "300B"))
    engine.start()
    try:
        with Client(nats_server.url, namespace=names.namespace) as client:
            assert max_bytes(client, names) == 300
            with pytest.raises(LogFull, match="Make room: a larger limit") as full:
                client.jobs().submit("one too many", Anything())
            assert isinstance(full.value, JobLedgerError)
        said = cli(
            *("job", "submit", "work:Anything", "--name", "one too many"),
            *("--nats", nats_server.url, "--namespace", names.namespace),
        )
        assert said.code == 75
        assert "Make room" in said.err
    finally:
        engine.stop()


def test_the_limit_of_a_running_server_is_changed_and_lifted(nats_server: NatsServer) -> None:
    """As `jobledger server start --max-bytes` does it; the embedded server has the default namespace."""
    names = Names(DEFAULT_NAMESPACE)
    engine = EngineHarness(nats_server.url, names).wait_ready()
    try:
        with Client(nats_server.url) as client:
            found = []
            for wanted in (10**9, 2 * 10**9, 0):
                limit_server(Endpoint(nats_server.url), wanted)
                found.append(max_bytes(client, names))
            assert found == [10**9, 2 * 10**9, -1]
    finally:
        engine.stop()
