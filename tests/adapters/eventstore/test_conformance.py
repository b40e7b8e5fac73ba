"""The eventsourcing library's own conformance tests, their bodies unchanged, on a real server.

Left out:
- `TranscoderTestCase`: asserts the text of the JSON transcoder, of which this module has none of its own.
- `TaggedDecisionCountersProjectionTestCase` and the tests of `eventsourcing.dcb`: JetStream has no index by tag, so
  a query would be a scan, and an append condition one lock for the whole stream.
- `EventCountersViewTestCase`: tests a view. Views belong to applications; the one below is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar
from unittest import TestCase
from uuid import uuid4

import pytest
from eventsourcing.persistence import Tracking
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.tests.application import ApplicationTestCase, ExampleApplicationTestCase
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    InfrastructureFactoryTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)
from eventsourcing.tests.projection import (
    AggregateEventCountersProjectionTestCase,
    EventCountersView,
    EventSourcedProjectionTestCase,
)
from eventsourcing.utils import Environment, get_topic

from jobledger.adapters.nats.eventstore import JetStreamFactory
from jobledger.adapters.nats.eventstore.recorders import (
    JetStreamAggregateRecorder,
    JetStreamApplicationRecorder,
)
from jobledger.adapters.nats.eventstore.snapshots import JetStreamSnapshotRecorder
from jobledger.adapters.nats.eventstore.tracking import JetStreamProcessRecorder, JetStreamTrackingRecorder
from jobledger.adapters.nats.names import Names
from support.servers import NatsServer

MODULE = "jobledger.adapters.nats.eventstore"


def environment(nats_server: NatsServer, names: Names) -> dict[str, str]:
    """Return what makes the library use this module, on streams no other test uses."""
    return {"PERSISTENCE_MODULE": MODULE, "NATS_URL": nats_server.url, "NATS_STREAM": names.namespace}


class OnFreshStreams(TestCase):
    """Gives each test a factory on streams of its own."""

    @pytest.fixture(autouse=True)
    def _factory(self, nats_server: NatsServer, names: Names) -> Iterator[None]:
        self.made = JetStreamFactory(environment(nats_server, names))
        yield
        self.made.close()


class TestEvents(OnFreshStreams, AggregateRecorderTestCase):
    def create_recorder(self) -> JetStreamAggregateRecorder:
        recorder = self.made.aggregate_recorder()
        assert isinstance(recorder, JetStreamAggregateRecorder)
        return recorder


class TestEventsOfPlainStringIds(TestEvents):
    def new_originator_id(self) -> str:
        return f"job-{uuid4()}"


class TestEventsOfHostileStringIds(TestEvents):
    def new_originator_id(self) -> str:
        return f".ä b*>{uuid4()}"


class TestSnapshots(OnFreshStreams, AggregateRecorderTestCase):
    def create_recorder(self) -> JetStreamSnapshotRecorder:
        recorder = self.made.aggregate_recorder(purpose="snapshots")
        assert isinstance(recorder, JetStreamSnapshotRecorder)
        return recorder


class TestSnapshotsOfHostileStringIds(TestSnapshots):
    def new_originator_id(self) -> str:
        return f".ä b*>{uuid4()}"


class TestApplicationRecorder(OnFreshStreams, ApplicationRecorderTestCase[JetStreamApplicationRecorder]):
    def create_recorder(self) -> JetStreamApplicationRecorder:
        recorder = self.made.application_recorder()
        assert isinstance(recorder, JetStreamApplicationRecorder)
        return recorder

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationRecorderWithStringIds(TestApplicationRecorder):
    def new_originator_id(self) -> str:
        return f"job-{uuid4()}"


class TestTrackingRecorder(OnFreshStreams, TrackingRecorderTestCase):
    def create_recorder(self) -> JetStreamTrackingRecorder:
        return self.made.tracking_recorder()


class TestProcessRecorder(OnFreshStreams, ProcessRecorderTestCase):
    def create_recorder(self) -> JetStreamProcessRecorder:
        recorder = self.made.process_recorder()
        assert isinstance(recorder, JetStreamProcessRecorder)
        return recorder


class TestProcessRecorderTracks(OnFreshStreams, TrackingRecorderTestCase):
    def create_recorder(self) -> JetStreamProcessRecorder:
        recorder = self.made.process_recorder()
        assert isinstance(recorder, JetStreamProcessRecorder)
        return recorder


class TestNonInterleavingNotificationIDs(OnFreshStreams, NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> JetStreamApplicationRecorder:
        recorder = self.made.application_recorder()
        assert isinstance(recorder, JetStreamApplicationRecorder)
        return recorder


class OtherTrackingRecorder(JetStreamTrackingRecorder):
    pass


class TestInfrastructureFactory(InfrastructureFactoryTestCase[JetStreamFactory]):
    @pytest.fixture(autouse=True)
    def _env(self, nats_server: NatsServer, names: Names) -> None:
        self.env = Environment(name="App1", env=environment(nats_server, names))

    def expected_factory_class(self) -> type[JetStreamFactory]:
        return JetStreamFactory

    def expected_aggregate_recorder_class(self) -> type[JetStreamAggregateRecorder]:
        return JetStreamAggregateRecorder

    def expected_application_recorder_class(self) -> type[JetStreamApplicationRecorder]:
        return JetStreamApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[JetStreamTrackingRecorder]:
        return JetStreamTrackingRecorder

    def tracking_recorder_subclass(self) -> type[JetStreamTrackingRecorder]:
        return OtherTrackingRecorder

    def expected_process_recorder_class(self) -> type[JetStreamProcessRecorder]:
        return JetStreamProcessRecorder


class ByProcessEnvironment(TestCase):
    """For tests that construct applications without naming an environment."""

    @pytest.fixture(autouse=True)
    def _environment(self, nats_server: NatsServer, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
        for key, value in environment(nats_server, names).items():
            monkeypatch.setenv(key, value)


class TestExampleApplication(ByProcessEnvironment, ExampleApplicationTestCase):
    expected_factory_topic = get_topic(JetStreamFactory)


# `test_application_log` records a warning of the library: it must be a warning still, not an error
@pytest.mark.filterwarnings("always:'log' is deprecated, use 'notification_log' instead:DeprecationWarning")
class TestApplication(ByProcessEnvironment, ApplicationTestCase):
    pass


class CountersInMemory(POPOTrackingRecorder, EventCountersView):
    def __init__(self) -> None:
        super().__init__()
        self._created = self._subsequent = 0

    def get_created_event_counter(self) -> int:
        return self._created

    def get_subsequent_event_counter(self) -> int:
        return self._subsequent

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        with self._database_lock:
            self.insert_tracking(tracking)
            self._created += 1

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        with self._database_lock:
            self.insert_tracking(tracking)
            self._subsequent += 1


class TestEventCountersProjection(AggregateEventCountersProjectionTestCase):
    view_class: type[EventCountersView] = CountersInMemory

    @pytest.fixture(autouse=True)
    def _env(self, nats_server: NatsServer, names: Names) -> None:
        type(self).env = {
            **environment(nats_server, names),
            "EVENTCOUNTERS_PERSISTENCE_MODULE": "eventsourcing.popo",
        }


class TestEventSourcedProjection(EventSourcedProjectionTestCase):
    env: ClassVar[dict[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _env(self, nats_server: NatsServer, names: Names) -> None:
        type(self).env = {
            **environment(nats_server, names),
            "COUNTERS_NATS_STREAM": f"{names.namespace}-counters",
        }


# pytest would take the abstract bases for tests of this module
del AggregateRecorderTestCase, ApplicationRecorderTestCase, InfrastructureFactoryTestCase
del NonInterleavingNotificationIDsBaseCase, ProcessRecorderTestCase, TrackingRecorderTestCase
del AggregateEventCountersProjectionTestCase, EventSourcedProjectionTestCase
del ApplicationTestCase, ExampleApplicationTestCase
del OnFreshStreams, ByProcessEnvironment
