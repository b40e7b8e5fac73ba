"""What a program is, and under which name it speaks. Light: every connection looks at it."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from jobledger.core.errors import ArgumentError

from ..nats.names import NOBODY

_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Role(StrEnum):
    """What a user of the server is for."""

    ENGINE = "engine"
    PROJECTOR = "projector"
    PUBLISHER = "publisher"
    OPERATOR = "operator"
    CLIENT = "client"
    RUNNER = "runner"
    AUDITOR = "auditor"
    SUBSCRIBER = "subscriber"
    METRICS = "metrics"

    @property
    def trusted(self) -> bool:
        """Whether it asks JetStream itself. NATS lets whoever may do that have the answer stored in any stream."""
        return self in (Role.ENGINE, Role.PROJECTOR, Role.PUBLISHER, Role.OPERATOR)


class Identity(NamedTuple):
    """One user of one role.

    >>> Identity.parse("runner.gpu.gpu-1")
    Identity(role=<Role.RUNNER: 'runner'>, cluster='gpu', user='gpu-1')
    >>> str(Identity.parse("client.web"))
    'client.web'
    """

    role: Role
    cluster: str  #: that of a runner; `NOBODY` otherwise
    user: str

    @classmethod
    def of(cls, role: Role, user: str, cluster: str | None = None) -> Identity:
        """Errors: ArgumentError for a name that cannot be one, or a cluster where there is to be none."""
        if not _TOKEN.fullmatch(user):
            raise ArgumentError(
                f"{user!r:.100} cannot be the name of a user: 1 to 64 letters, digits, dashes or underscores can, the "
                "first one a letter or a digit"
            )
        if (role is Role.RUNNER) != (cluster is not None):
            raise ArgumentError(
                f"a {role} takes work of one cluster: name it"
                if cluster is None
                else f"a {role} has no cluster"
            )
        if cluster is not None and (cluster == NOBODY or not re.fullmatch(r"[A-Za-z0-9-]{1,100}", cluster)):
            raise ArgumentError(
                f"cluster {cluster!r:.100} cannot be one: 1 to 100 letters, digits and dashes can"
            )
        return cls(role, NOBODY if cluster is None else cluster, user)

    @classmethod
    def parse(cls, text: str) -> Identity:
        """Return the identity written as `role.user`, or `runner.cluster.user`. Errors: ArgumentError."""
        role, *rest = text.split(".")
        if role not in set(Role) or len(rest) not in (1, 2):
            raise ArgumentError(
                f"identity {text!r:.200} cannot be used: write role.user, such as client.web, or "
                f"runner.cluster.user; roles are {', '.join(Role)}"
            )
        return cls.of(Role(role), rest[-1], rest[0] if len(rest) == 2 else None)

    def __str__(self) -> str:
        return ".".join(part for part in self if part != NOBODY)

    @property
    def tokens(self) -> str:
        """As subjects have it: always three tokens."""
        return ".".join(self)

    @property
    def inbox(self) -> str:
        """What the subjects begin with on which it is answered: no other user may listen there."""
        return f"_INBOX.{self.tokens}"
