"""What a projector tells: how far its view is behind the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..nats.names import Names
from ..nats.wire import Wire
from .figures import Sample, Samples
from .log import lag_samples

if TYPE_CHECKING:
    from ..views.progress import Progress
    from ..views.projector import Projector


class _Open(NamedTuple):
    store: str
    progress: Progress
    projector: Projector


class ViewMeter:
    """Tells for one process, whichever views are opened in it."""

    def __init__(self, client: Wire, names: Names) -> None:
        self._client = client
        self._names = names
        self._open: _Open | None = None

    def opened(self, store: str, progress: Progress, projector: Projector) -> None:
        """A view is kept in this store, which is shown as it is named."""
        self._open = _Open(store, progress, projector)

    def closed(self) -> None:
        self._open = None

    async def samples(self) -> Samples:
        """Return all figures as of now. Where the log cannot be asked, there is no lag."""
        view = self._open
        samples = {"jobledger_view_open": [Sample((), 0.0 if view is None else 1.0)]}
        if view is None:
            return samples
        behind = await lag_samples(self._client, self._names, view.progress.position)
        moves = float(view.projector.moves)
        for name, figure in {"moves": moves, **behind}.items():
            samples[f"jobledger_view_{name}"] = [Sample((view.store,), figure)]
        return samples
