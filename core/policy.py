"""The policy of a task as it travels, and what follows from it: pure numbers, in µs."""

from __future__ import annotations

import hashlib

import msgspec

#: what a task's failure does to its job: what the job says, halt it, or go on with all that does not depend on it
INHERIT, HALT, CONTINUE = 0, 1, 2


class Policy(msgspec.Struct, array_like=True, frozen=True):
    """What was asked for beyond running a task. Times are µs; 0 and "" mean that nothing was asked for."""

    priority: int = 0  #: larger ones first
    not_before: int = 0  #: µs since 1970 UTC
    on_failure: int = INHERIT
    timeout: int = 0  #: an attempt fails that runs longer
    delay: int = 0  #: before the first retry
    backoff: float = 1.0  #: by which each further delay is longer than the one before
    cap: int = 0  #: longest delay, jitter included; 0 for none
    jitter: float = 0.0  #: share of a delay by which it is spread
    retry_on: tuple[str, ...] | None = None  #: exceptions, by name of the type or of a base; None: all
    give_up: tuple[str, ...] = ()  #: exceptions after which no retry helps
    key: str = ""  #: of the concurrency limit
    limit: int = 0  #: how many tasks of this key run at a time, in all jobs
    reuse: bool = False  #: an earlier success of the same version and input will do

    def check(self) -> None:
        """Raise ValueError unless the numbers make sense."""
        if min(self.not_before, self.timeout, self.delay, self.cap) < 0:
            raise ValueError(f"{self!r:.300} holds a negative time")
        if not (1.0 <= self.backoff <= 1000.0 and 0.0 <= self.jitter <= 1.0):
            raise ValueError(f"{self!r:.300} needs a backoff of 1 to 1000 and a jitter of 0 to 1")
        if self.on_failure not in (INHERIT, HALT, CONTINUE) or (self.key != "") != (self.limit > 0):
            raise ValueError(f"{self!r:.300} has an unknown on_failure, or a key without a limit")


NO_POLICY = Policy()


def retry_at(policy: Policy, failures: int, now: int, *, seed: str) -> int:
    """Return when a task may be tried again after its `failures`-th failed attempt; 0 for at once.

    Units:  µs since 1970 UTC.
    Shape:  `seed` names the attempt: the jitter follows from it, so that deciding stays repeatable. Delays are spread
            around what the cap leaves room for, so that those at the cap are spread like all others.

    >>> policy = Policy(delay=1_000_000, backoff=2.0, cap=3_000_000)
    >>> [retry_at(policy, n, 0, seed="") for n in (1, 2, 3, 4)]
    [1000000, 2000000, 3000000, 3000000]
    """
    if not policy.delay:
        return 0
    longest = float(policy.cap or _LONGEST) / (1 + policy.jitter)
    delay = min(float(policy.delay), longest)
    if policy.backoff > 1.0:
        for _ in range(failures - 1):
            if delay >= longest:
                break
            delay = min(delay * policy.backoff, longest)
    if policy.jitter:
        fraction = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big") / 2**64
        delay *= 1 + policy.jitter * (2 * fraction - 1)
    return now + round(delay)


_LONGEST = 100 * 365 * 86400 * 1_000_000  # µs: a hundred years
