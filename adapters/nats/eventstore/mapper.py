"""msgspec Structs as domain events.

eventsourcing's own mapper needs events with a `__dict__`, which Structs do not have. Here an event is encoded as
MessagePack by its own type, without the two fields that the record holds anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, MapperDeserialisationError, ProgrammingError, StoredEvent
from eventsourcing.utils import get_topic, resolve_topic

TAggregateID = TypeVar("TAggregateID")
_ENVELOPE = ("originator_id", "originator_version")


class _Codec(NamedTuple):
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], dict[str, Any]]


class MsgspecMapper(Mapper[Any]):
    """Maps Structs that have fields `originator_id` and `originator_version`; topics are eventsourcing's.

    The state is what msgspec makes of the remaining fields under the options of the class (`array_like`, `tag`,
    `rename`, `omit_defaults`), so fields may be appended with defaults as in any msgspec type. A configured
    compressor and cipher are applied to it. The transcoder is not used.

    Errors: ProgrammingError for other classes, MapperDeserialisationError for bytes that are not of the topic's class.

    >>> import msgspec
    >>> from eventsourcing.persistence import JSONTranscoder
    >>> from eventsourcing.utils import register_topic
    >>> class Posted(msgspec.Struct, frozen=True, array_like=True):
    ...     TOPIC = "depot.posted"
    ...
    ...     originator_id: str
    ...     originator_version: int
    ...     to: str
    >>> register_topic("depot.posted", Posted)
    >>> mapper = MsgspecMapper(JSONTranscoder())
    >>> stored = mapper.to_stored_event(Posted("parcel-1", 1, "Oslo"))
    >>> mapper.to_domain_event(stored)
    Posted(originator_id='parcel-1', originator_version=1, to='Oslo')
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._codecs: dict[type, _Codec] = {}

    def to_stored_event(self, domain_event: DomainEventProtocol[Any]) -> StoredEvent:
        """Return the event as it is stored.

        >>> import msgspec
        >>> from eventsourcing.persistence import JSONTranscoder
        >>> class Lost(msgspec.Struct, frozen=True, array_like=True):
        ...     originator_id: str
        ...     originator_version: int
        ...     where: str
        >>> MsgspecMapper(JSONTranscoder()).to_stored_event(Lost("parcel-1", 2, "Rome"))
        StoredEvent(originator_id='parcel-1', originator_version=2, topic='__main__:Lost', state=b'\\x91\\xa4Rome')
        """
        cls = type(domain_event)
        state = self._codec(cls).encode(domain_event)
        if self.compressor:
            state = self.compressor.compress(state)
        if self.cipher:
            state = self.cipher.encrypt(state)
        return StoredEvent(domain_event.originator_id, domain_event.originator_version, get_topic(cls), state)

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[Any]:
        """Return the event that was stored.

        >>> import msgspec
        >>> from eventsourcing.persistence import JSONTranscoder, StoredEvent
        >>> from eventsourcing.utils import register_topic
        >>> class Found(msgspec.Struct, frozen=True, array_like=True):
        ...     TOPIC = "depot.found"
        ...
        ...     originator_id: str
        ...     originator_version: int
        ...     where: str
        >>> register_topic("depot.found", Found)
        >>> MsgspecMapper(JSONTranscoder()).to_domain_event(StoredEvent("parcel-1", 3, "depot.found", b"\\x91\\xa4Rome"))
        Found(originator_id='parcel-1', originator_version=3, where='Rome')
        """
        cls = resolve_topic(stored_event.topic)
        codec = self._codec(cls)
        state = stored_event.state
        try:
            if self.cipher:
                state = self.cipher.decrypt(state)
            if self.compressor:
                state = self.compressor.decompress(state)
            fields = codec.decode(state)
        except Exception as error:  # whatever a cipher or compressor raises
            raise MapperDeserialisationError(
                f"version {stored_event.originator_version} of originator {stored_event.originator_id!r}, "
                f"of topic {stored_event.topic!r}, cannot be decoded: {error}"
            ) from error
        event: DomainEventProtocol[Any] = cls(
            originator_id=stored_event.originator_id,
            originator_version=stored_event.originator_version,
            **fields,
        )
        return event

    def _codec(self, cls: type) -> _Codec:
        codec = self._codecs.get(cls)
        if codec is None:
            codec = self._codecs[cls] = _codec_for(cls)
        return codec


def _codec_for(cls: type) -> _Codec:
    if not issubclass(cls, msgspec.Struct) or not set(_ENVELOPE) <= set(cls.__struct_fields__):
        raise ProgrammingError(
            f"{cls.__qualname__} is not a msgspec Struct with fields originator_id and originator_version: "
            "derive it so, or use another MAPPER_TOPIC"
        )
    fields = [field for field in msgspec.structs.fields(cls) if field.name not in _ENVELOPE]
    config = cls.__struct_config__
    body = msgspec.defstruct(
        cls.__name__,
        [_definition(field) for field in fields],
        kw_only=True,
        rename={field.name: field.encode_name for field in fields},
        array_like=config.array_like,
        tag=config.tag,
        tag_field=config.tag_field,
        omit_defaults=config.omit_defaults,
        forbid_unknown_fields=config.forbid_unknown_fields,
    )
    names = [field.name for field in fields]
    encoder = msgspec.msgpack.Encoder()
    decoder = msgspec.msgpack.Decoder(body)
    return _Codec(
        encode=lambda event: encoder.encode(body(**{name: getattr(event, name) for name in names})),
        decode=lambda state: msgspec.structs.asdict(decoder.decode(state)),
    )


def _definition(field: msgspec.structs.FieldInfo) -> tuple[Any, ...]:
    if field.default is not msgspec.NODEFAULT:
        return (field.name, field.type, field.default)
    if field.default_factory is not msgspec.NODEFAULT:
        return (field.name, field.type, msgspec.field(default_factory=field.default_factory))
    return (field.name, field.type)
