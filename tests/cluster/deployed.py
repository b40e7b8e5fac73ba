"""The cluster of `deploy/`, on this machine: its very configuration, with ports and paths of this machine put in."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.servers import NatsServer

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
USER, PASSWORD = "jobledger", "secret"
_SECRETS = {"$JOBLEDGER_PASSWORD": PASSWORD, "$JOBLEDGER_SYSTEM_PASSWORD": "another"}


class Authority:
    """A certificate authority, as deploy/README.md makes one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jobledger")])
        usage = x509.KeyUsage(*(number in (5, 6) for number in range(9)))
        signed = (
            self._certificate(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / "ca.crt"
        self.certificate.write_bytes(signed.public_bytes(Encoding.PEM))

    def issue(self, node: str) -> None:
        """Write certificate and key of a node, for both directions."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [x509.DNSName(node), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)])
        certificate = (
            self._certificate(subject, key.public_key())
            .add_extension(names, critical=False)
            .add_extension(usage, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        (self._folder / f"{node}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._folder / f"{node}.key").write_bytes(plain)

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
        )


class Node(NatsServer):
    """One node, with the very configuration of `deploy/`."""

    def __init__(self, folder: Path, name: str, tls: Path, routes: list[int]) -> None:
        super().__init__(folder)
        self.name = name
        self._routes = routes
        number = int(name.rpartition("-")[2])
        self._put_in = {
            "$JOBLEDGER_NODE": name,
            "0.0.0.0:6222": f"127.0.0.1:{routes[number - 1]}",
            "127.0.0.1:8222": "127.0.0.1:-1",
            "/etc/jobledger/tls/node": str(tls / name),
            "/etc/jobledger/tls/ca.crt": str(tls / "ca.crt"),
            "/var/lib/jobledger/nats": str(folder / "jetstream"),
            **{f"nats-{place}:6222": f"127.0.0.1:{port}" for place, port in enumerate(routes, 1)},
        }

    @property
    def url(self) -> str:
        return f"tls://127.0.0.1:{self.port}"

    def configuration(self) -> str:
        text = (DEPLOY / "nats" / "nats-server.conf").read_text()
        return put_in(text, {**self._put_in, "0.0.0.0:4222": f"127.0.0.1:{self.port}"})


def put_in(text: str, values: Mapping[str, str]) -> str:
    """Return a file of `deploy/` with what differs here. Errors: AssertionError for what is not in it any more."""
    for there, here in values.items():
        assert there in text, f"{there} is not in that file any more"
        text = text.replace(there, here)
    return text


def nodes(folder: Path) -> dict[str, Node]:
    """Return the three nodes, not started yet."""
    users = put_in((DEPLOY / "nats" / "users.conf").read_text(), _SECRETS)
    tls = folder / "tls"
    tls.mkdir()
    authority = Authority(tls)
    # each has to name the others before they run, so their ports cannot be left to them
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        routes = [found.getsockname()[1] for found in sockets]
    made = {}
    for name in ("nats-1", "nats-2", "nats-3"):
        authority.issue(name)
        (folder / name).mkdir()
        (folder / name / "users.conf").write_text(users)
        made[name] = Node(folder / name, name, tls, routes)
    return made


def authority_of(folder: Path) -> Path:
    """Return the certificate that clients of these nodes trust."""
    return folder / "tls" / "ca.crt"
