"""Where the keys of sealed jobs are kept: on the NATS server, unless `Client(keys=…)` is given another `KeyStore`.

>>> from jobledger.sealing import MemoryKeys
>>> client = InlineClient(keys=MemoryKeys())
>>> job = client.run(Greet("world"), encrypt=True)
"""

from __future__ import annotations

from ._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .adapters.sealing.keys import KeyStore, MemoryKeys

_HOMES = {
    "KeyStore": "jobledger.adapters.sealing.keys",
    "MemoryKeys": "jobledger.adapters.sealing.keys",
}
__getattr__ = lazy_names(globals(), _HOMES)
__all__ = ["KeyStore", "MemoryKeys"]


def __dir__() -> list[str]:
    return __all__
