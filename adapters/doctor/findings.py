"""What an examination came to: one finding for each thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Health(Enum):
    """How something was found.

    >>> worst = {finding.state for finding in client.doctor().findings}
    >>> worst <= {Health.OK, Health.WARNING, Health.FAILED, Health.UNKNOWN}
    True
    """

    OK = "ok"
    WARNING = "warning"  #: what is promised holds, but something is not as it should be
    FAILED = "failed"
    UNKNOWN = "unknown"  #: it could not be found out; why, is told


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """What was found about one thing.

    >>> finding = client.doctor().findings[0]
    >>> finding.check, finding.promise, finding.state is Health.OK, bool(finding.found)
    ('acknowledgements', True, False, True)
    >>> finding.why, finding.remedy
    ('...', '...')
    """

    check: str  #: what was looked at
    state: Health
    found: str  #: as it was found
    why: str = ""  #: why it matters
    remedy: str = ""  #: what to do about it; "" where nothing is to be done
    #: whether it is a condition of what is promised: that no acknowledged fact is lost. Where it cannot be found out, the
    #: promise cannot be relied on
    promise: bool = False


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All that was found about a namespace.

    >>> report = client.doctor()
    >>> report.namespace, report.ok
    ('default', False)
    >>> [finding.check for finding in report.findings if finding.promise and finding.state is not Health.OK]
    ['acknowledgements']
    """

    namespace: str
    findings: tuple[HealthFinding, ...]

    @property
    def ok(self) -> bool:
        """Whether everything that is promised holds: nothing has failed, and all that the promise rests on is known.

        >>> client.doctor().ok
        False
        """
        return not any(
            finding.state is Health.FAILED or (finding.promise and finding.state is Health.UNKNOWN)
            for finding in self.findings
        )
