"""Every stream and subject name, derived from the namespace in one place."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from .partitions import WHOLE, Partition, partition_of

DEFAULT_NAMESPACE = "default"
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: stands in subjects for the name of a program that has none
NOBODY = "-"


def is_answerable(reply: str) -> bool:
    """Whether a request is to be answered on this subject.

    NATS lets whoever may ask have the answer sent anywhere, by the rights of the one who answers: to the log, say. So nobody
    here answers where anything of ours is kept or asked, or on the server's own subjects.

    >>> is_answerable("_INBOX.abc.1"), is_answerable(Names().log_subject("0190-…")), is_answerable("$KV.bucket.key")
    (True, False, False)
    """
    return reply != "" and not reply.startswith(("jobledger.", "$"))


class Speaker(NamedTuple):
    """Who runs tasks, as it says in the subject of each request: a server can be told to let each user speak only for itself.

    >>> Speaker("gpu", "gpu-1", "5f0c").runner
    'gpu.gpu-1.5f0c'
    """

    cluster: str  #: whose tasks it takes
    user: str  #: the name under which it logged in, `NOBODY` where that is not told apart
    session: str  #: unique to one run of one process

    @property
    def runner(self) -> str:
        """What it is called in the log. Nobody else can be called so: its cluster and user, which have no dots, are in it."""
        return self.session if self.user == NOBODY else f"{self.cluster}.{self.user}.{self.session}"


@lru_cache(maxsize=4096)  # a session says everything on three subjects
def speaker_of(subject: str) -> Speaker:
    """Return who sent a message on this subject.

    >>> speaker_of(Names().exchange("5f0c", "gpu", "gpu-1"))
    Speaker(cluster='gpu', user='gpu-1', session='5f0c')
    """
    _, cluster, user, session = subject.rsplit(".", 3)
    return Speaker(cluster, user, session)


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
        # The only partition there is needs no number.
        part = f".{partition.number}" if partition.of > 1 else ""
        self.prefix = f"jobledger.{namespace}"
        #: the stream of all commits, one subject per job
        self.log_stream = f"jobledger-{namespace}-log"
        self.log_prefix = f"{self.prefix}.log"
        self.log_subjects = f"{self.prefix}.log.*"
        #: requests to the engine that owns the partition
        self.command = f"{self.prefix}.command{part}"
        self._exchange = f"{self.prefix}.exchange{part}"
        self._heartbeat = f"{self.prefix}.heartbeat{part}"
        self._results = f"{self.prefix}.results{part}"
        self.exchanges = f"{self._exchange}.*.*.*"
        self.heartbeats = f"{self._heartbeat}.*.*.*"
        #: a runner asks here what the tasks returned on which one of its own depends
        self.results = f"{self._results}.*.*.*"
        #: requests to JetStream of those who may not ask it themselves: see `adapters.access`
        self.gate = f"{self.prefix}.gate{part}"
        self.gates = f"{self.gate}.*.*.*"
        self._to_engine = tuple(
            f"{subject}." for subject in (self._exchange, self._heartbeat, self._results, self.gate)
        )
        #: an engine says here that it has begun to serve a partition: whoever waits for an answer asks again at once
        self.hello = f"{self.prefix}.hello"
        #: an engine says here that it has ceased to: its successor looks once more for what it left in the log
        self.farewell = f"{self.prefix}.farewell"
        #: an engine says here which job was halted, to the runners of one cluster after the other: see `halted`
        self.halts = f"{self.prefix}.halted.*"
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
        #: and for how long which runners have been silent
        self.silences_key = f"silences{part}"
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

        >>> Names().within(Partition(3, 8)).exchange("r1", "gpu")
        'jobledger.default.exchange.3.gpu.-.r1'
        """
        return self if partition == self.partition else Names(self.namespace, partition)

    def parts(self, count: int) -> tuple[Names, ...]:
        """Return the names within each of `count` partitions."""
        return tuple(self.within(Partition(number, count)) for number in range(count))

    # Who speaks is part of the subject: see `Speaker`.

    def exchange(self, session: str, cluster: str, user: str = NOBODY) -> str:
        return f"{self._exchange}.{cluster}.{user}.{session}"

    def heartbeat(self, session: str, cluster: str, user: str = NOBODY) -> str:
        return f"{self._heartbeat}.{cluster}.{user}.{session}"

    def results_for(self, session: str, cluster: str, user: str = NOBODY) -> str:
        return f"{self._results}.{cluster}.{user}.{session}"

    def asks(self, subject: str) -> bool:
        """Whether a request on this subject is meant for the engine of the partition."""
        return subject == self.command or subject.startswith(self._to_engine)

    def engine(self, engine_id: str) -> str:
        """Return where one engine answers, to be known as one that is there."""
        return f"{self.prefix}.engine.{token_of(engine_id)}"

    def halted(self, cluster: str) -> str:
        return f"{self.halts[:-1]}{cluster}"

    def api_subject(self, operation: str) -> str:
        return f"{self.api}.v1.{operation}"

    def log_subject(self, job_id: str) -> str:
        return f"{self.prefix}.log.{job_id}"

    def telemetry_subject(self, job_id: str) -> str:
        return f"{self.prefix}.telemetry.{job_id}"

    def cluster_subject(self, slug: str) -> str:
        return f"{self.prefix}.cluster.{slug}"


def token_of(name: str) -> str:
    """Return a name as one token of a subject.

    >>> token_of("host.example:4711:5f0c")
    'host-example-4711-5f0c'
    """
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def names_of(parts: tuple[Names, ...], job_id: str) -> Names:
    """Return, of the names within each partition, those within the one that a job belongs to."""
    return parts[partition_of(job_id, len(parts))]
