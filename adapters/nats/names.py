"""Every stream and subject name, derived from the namespace in one place."""

from __future__ import annotations

import re

from .partitions import WHOLE, Partition, partition_of

DEFAULT_NAMESPACE = "default"
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Names:
    """The streams and subjects of one namespace.

    >>> Names("default").log_subject("0190-…")
    'jobledger.default.log.0190-…'
    """

    def __init__(self, namespace: str = DEFAULT_NAMESPACE, partition: Partition = WHOLE) -> None:
        """`partition` is the one whose engine requests are meant for; see `within`."""
        if not _NAMESPACE.fullmatch(namespace):
            raise ValueError(
                f"namespace {namespace!r} is not usable in a subject: "
                "use 1 to 64 letters, digits, dashes or underscores"
            )
        self.namespace = namespace
        self.partition = partition
        # The only partition there is needs no number: its subjects are those of before there were partitions, which
        # programs and server permissions that exist go on to use.
        part = f".{partition.number}" if partition.of > 1 else ""
        self.prefix = f"jobledger.{namespace}"
        #: the stream of all commits, one subject per job
        self.log_stream = f"jobledger-{namespace}-log"
        self.log_prefix = f"{self.prefix}.log"
        self.log_subjects = f"{self.prefix}.log.*"
        #: requests to the engine that owns the partition
        self.command = f"{self.prefix}.command{part}"
        self.exchanges = f"{self.prefix}.exchange{part}.*"
        self.heartbeats = f"{self.prefix}.heartbeat{part}.*"
        #: an engine says here that it has begun to serve a partition: whoever waits for an answer asks again at once
        self.hello = f"{self.prefix}.hello"
        #: an engine says here that it has ceased to: its successor looks once more for what it left in the log
        self.farewell = f"{self.prefix}.farewell"
        #: the engine says here which job was halted, so that runners begin no more of it
        self.halted = f"{self.prefix}.halted"
        #: requests in JSON, of programs without this package; one subject for each operation: `api_subject`
        self.api = f"{self.prefix}.api"
        #: questions across jobs, answered by one of the projectors
        self.query = f"{self.prefix}.query"
        #: questions to every projector about the view it keeps
        self.views = f"{self.prefix}.views"
        #: questions to every process about what it has counted
        self.metrics = f"{self.prefix}.metrics"
        #: the stream of what happened to clusters, one subject per cluster
        self.clusters_stream = f"jobledger-{namespace}-clusters"
        self.cluster_subjects = f"{self.prefix}.cluster.*"
        #: the stream of what tasks keep for each other, one subject per key
        self.cache_stream = f"jobledger-{namespace}-cache"
        self.cache = f"{self.prefix}.cache"
        #: key-value bucket of leases: an engine holds one for each partition it owns, and says that it is there
        self.engines_bucket = f"jobledger-{namespace}-engines"
        self.owner_key = f"owner{part}"
        #: key-value bucket in which an engine notes which jobs are live, so that a restart scans less
        self.checkpoints_bucket = f"jobledger-{namespace}-checkpoints"
        self.checkpoint_key = f"checkpoint{part}"
        #: object store bucket of inputs and results too large for a message
        self.objects_bucket = f"jobledger-{namespace}-objects"
        #: key-value bucket in which the engine notes which success may be reused for what
        self.reuse_bucket = f"jobledger-{namespace}-reuse"
        #: key-value bucket of how far each named subscription has come
        self.subscriptions_bucket = f"jobledger-{namespace}-subscriptions"
        #: the stream of the feed, one CloudEvent for each event of the log; its subjects name what happened to what
        self.feed_stream = f"jobledger-{namespace}-feed"
        self.feed_prefix = f"{self.prefix}.feed"
        self.feed_subjects = f"{self.prefix}.feed.>"
        #: questions to every publisher of the feed about how it stands
        self.feed_publishers = f"{self.prefix}.feed-publishers"
        #: the supervisor of a data folder is told here to run a publisher, or none
        self.feed_switch = f"{self.prefix}.feed-switch"
        #: the stream of what tasks logged and traced, one subject per job: no truth, it is kept for a while
        self.telemetry_stream = f"jobledger-{namespace}-telemetry"
        self.telemetry_subjects = f"{self.prefix}.telemetry.*"
        #: key-value bucket of the keys of sealed jobs
        self.keys_bucket = f"jobledger-{namespace}-keys"

    @property
    def shown(self) -> str:
        """The partition, as told to people."""
        number, of = self.partition
        return self.namespace if of == 1 else f"partition {number} (of {of}) of {self.namespace}"

    def within(self, partition: Partition) -> Names:
        """Return the same names, but for those of requests: these go to the engine of this partition.

        >>> Names().within(Partition(3, 8)).exchange("r1")
        'jobledger.default.exchange.3.r1'
        """
        return self if partition == self.partition else Names(self.namespace, partition)

    def parts(self, count: int) -> tuple[Names, ...]:
        """Return the names within each of `count` partitions."""
        return tuple(self.within(Partition(number, count)) for number in range(count))

    # Who speaks is part of the subject, so that a server can be told to let each runner speak only for itself.

    def exchange(self, runner: str) -> str:
        return f"{self.exchanges[:-1]}{runner}"

    def heartbeat(self, runner: str) -> str:
        return f"{self.heartbeats[:-1]}{runner}"

    def asks(self, subject: str) -> bool:
        """Whether a request on this subject is meant for the engine of the partition."""
        return subject == self.command or subject.startswith((self.exchanges[:-1], self.heartbeats[:-1]))

    def api_subject(self, operation: str) -> str:
        return f"{self.api}.v1.{operation}"

    def log_subject(self, job_id: str) -> str:
        return f"{self.prefix}.log.{job_id}"

    def telemetry_subject(self, job_id: str) -> str:
        return f"{self.prefix}.telemetry.{job_id}"

    def cluster_subject(self, slug: str) -> str:
        return f"{self.prefix}.cluster.{slug}"


def names_of(parts: tuple[Names, ...], job_id: str) -> Names:
    """Return, of the names within each partition, those within the one that a job belongs to."""
    return parts[partition_of(job_id, len(parts))]
