"""A server whose users `jobledger access` made: with TLS, certificates of clients, and every role."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trustme

from jobledger.adapters.access.identity import Identity
from jobledger.adapters.access.users import Users
from jobledger.adapters.nats.endpoint import Endpoint, login_of

from .servers import NatsServer

NAMESPACE = "prod"
#: one user of each role, a second runner of the same cluster, and one of another cluster
EVERYBODY = (
    "engine.e",
    "projector.p",
    "publisher.f",
    "operator.o",
    "client.c",
    "auditor.a",
    "subscriber.s",
    "metrics.m",
    "runner.gpu.g1",
    "runner.gpu.g2",
    "runner.cpu.c1",
)


#: the others have nkeys: what a password costs the server, it costs it on purpose
WITH_PASSWORD = ("projector.p",)


class SecuredServer:
    """A server with these users. `verify`: it asks for the certificates of those who connect, too."""

    def __init__(self, folder: Path, *, users: tuple[str, ...] = EVERYBODY, verify: bool = True) -> None:
        self.folder = folder
        self.users = Users(folder / "access")
        for who in users:
            self.users.create(NAMESPACE, Identity.parse(who), password=who in WITH_PASSWORD)
        authority = trustme.CA()
        server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("somebody@example.org")
        server.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
        authority.cert_pem.write_to_path(folder / "ca.pem")
        tls = (
            f'tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.pem", '
            f'ca_file: "{folder}/ca.pem", verify: {str(verify).lower()}, timeout: 20 }}\n'
        )
        self._programs: dict[str, subprocess.Popen[str]] = {}
        self._commands: dict[str, tuple[str, ...]] = {}
        self.server = NatsServer(
            folder, more_configuration=f"include ./access/{self.users.configuration.name}\n{tls}"
        )

    def start(self) -> SecuredServer:
        self.server.start()
        return self

    def stop(self) -> dict[str, str]:
        """End the programs that were served, and the server; return what each of them said."""
        programs = list(reversed(self._programs.items()))
        for _, program in programs:
            program.terminate()
        said = {who: program.communicate(timeout=20)[0] for who, program in programs}
        self.server.stop()
        return said

    def serve(self, who: str, *command: str) -> None:
        """Have a user's program run until the server stops."""
        self._commands[who] = command
        self._programs[who] = self.run(who, "-m", "jobledger.adapters.cli", *command)

    def restart(self, who: str) -> None:
        """Kill a program that is served, and start it again."""
        killed = self._programs.pop(who)
        killed.kill()
        killed.communicate()
        self.serve(who, *self._commands[who])

    @property
    def url(self) -> str:
        return f"tls://127.0.0.1:{self.server.port}"

    def variables(self, who: str) -> dict[str, str]:
        """Return the environment of a user's programs."""
        text = (self.folder / "access" / "users" / f"{NAMESPACE}.{who}.env").read_text()
        return dict(line.split("=", 1) for line in text.splitlines()) | {
            "JOBLEDGER_URL": self.url,
            "JOBLEDGER_TLS_CA": f"{self.folder}/ca.pem",
            "JOBLEDGER_TLS_CERT": f"{self.folder}/client.pem",
        }

    def login(self, who: str) -> dict[str, Any]:
        """Return the login of a user, as `Client` and `Endpoint` take it."""
        return dict(login_of(self.variables(who)))

    def endpoint(self, who: str) -> Endpoint:
        return Endpoint(self.url, **self.login(who))

    def run(self, who: str, *command: str) -> subprocess.Popen[str]:
        """Start a program of a user's: it finds all it needs in its environment."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("JOBLEDGER_")}
        return subprocess.Popen(
            [sys.executable, *command],
            env=plain | self.variables(who) | {"PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def complaints(said: Mapping[str, str]) -> dict[str, str]:
    """Return what those said who had something to complain about: rights that are missing, say, or TLS."""
    wrong = ("violation", "eof_received", "traceback")
    return {who: text for who, text in said.items() if any(word in text.lower() for word in wrong)}
