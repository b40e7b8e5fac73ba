"""The data folder of an embedded server: what lies where in it, and who may read it.

Only the holder of the folder's lock writes here, but for `sync-interval`. Everything but that, `jetstream/` (the log),
`views/`, `feed` and `credentials.json` is written anew at each start, so nothing left behind by a crash is ever in the way.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from jobledger.core.errors import ArgumentError
from jobledger.core.undecodable import UNDECODABLE

HOME_VARIABLE = "JOBLEDGER_HOME"
#: seconds between which a relaxed folder may let its disk lag behind
SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.01, 3600.0
_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Who may log in to the folder's server. The repr shows none of it."""

    identity: str  #: names the folder, so that another folder's server is not mistaken for this one's
    client: str  #: password of user `client`: facades, runners, the command line
    engine: str  #: password of user `engine`: what runs inside the supervisor and is no sign of use
    system: str  #: password of user `system`, for inspection: not in the account of the log

    @classmethod
    def generate(cls) -> Self:
        return cls(secrets.token_hex(8), *(secrets.token_urlsafe(32) for _ in range(3)))


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """What a running supervisor publishes in `server.json`: true only as long as the folder is locked."""

    host: str
    port: int
    supervisor_pid: int
    server_pid: int
    started_at: str  #: ISO 8601, UTC
    version: str  #: of jobledger
    server_version: str  #: of nats-server
    pid_namespace: str = ""  #: where the process ids are valid, see `processes.pid_namespace`
    sync_interval: float = 0.0  #: see `DataFolder.sync_interval`

    @property
    def url(self) -> str:
        return f"nats://{self.host}:{self.port}"


class DataFolder:
    """The paths of one data folder, and the few files in it that are read as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = path / "supervisor.lock"  #: held by the supervisor; contains its process id
        self.server_lock = path / "nats-server.lock"  #: held by the nats-server process itself
        self.log = path / "server.log"
        self.config = path / "nats-server.conf"
        self.port = path / "port"  #: the port used last
        self.store = path / "jetstream"
        self.feed = path / "feed"  #: there while the feed is turned on
        self.relaxed = path / "sync-interval"  #: there while acknowledgements do not wait for the disk
        self.views = path / "views"  #: made from the log: can be deleted while nothing runs
        self._credentials = path / "credentials.json"
        self._record = path / "server.json"

    @classmethod
    def locate(cls, folder: str | PathLike[str] | None = None) -> Self:
        """Return the folder asked for, else that of JOBLEDGER_HOME, else the user's own.

        Errors: ArgumentError when the path cannot be one.
        """
        chosen = folder or os.environ.get(HOME_VARIABLE) or _default_path()
        try:
            # One folder has one name, whatever link or working directory it is reached through.
            return cls(Path(chosen).expanduser().resolve())
        except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a NUL character
            raise ArgumentError(f"{str(chosen)[:200]!r} cannot be a data folder: {error}") from error

    def create(self) -> None:
        """Make the folder, readable by its owner only.

        Errors: ArgumentError when it is a file, cannot be written, or holds other things than a data folder.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.path.stat()
            if os.geteuid() not in (0, found.st_uid):
                raise ArgumentError(f"data folder {self._shown} belongs to another user: {_CHOOSE}")
            names = os.listdir(self.path)
            if names and not self._ours.intersection(names):
                raise ArgumentError(
                    f"folder {self._shown} holds other things than a data folder does: {_CHOOSE}"
                )
            if found.st_mode & 0o077:
                self.path.chmod(0o700)
            # The first entry of the folder marks it as one, before anything else may be in it.
            os.close(os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
            raise ArgumentError(f"cannot use data folder {self._shown}: {reason}. {_CHOOSE}") from error

    def credentials(self) -> Credentials | None:
        return _read(self._credentials, Credentials)

    def ensure_credentials(self) -> Credentials:
        """Return the credentials, made up now if there are none that can be read. For the holder of the lock."""
        credentials = self.credentials()
        if credentials is None:
            credentials = Credentials.generate()
            self.write(self._credentials, json.dumps(asdict(credentials)))
        return credentials

    def record(self) -> ServerRecord | None:
        return _read(self._record, ServerRecord)

    def publish(self, record: ServerRecord) -> None:
        self.write(self._record, json.dumps(asdict(record), indent=1))

    def unpublish(self) -> None:
        self._record.unlink(missing_ok=True)

    def sync_interval(self) -> float:
        """Return for how many seconds at most what was acknowledged may not be on disk; 0: none is, until it is.

        What cannot be read relaxes nothing.
        """
        try:
            seconds = float(self.relaxed.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0.0
        return seconds if SHORTEST_INTERVAL <= seconds <= LONGEST_INTERVAL else 0.0

    def relax(self, sync_interval: float) -> None:
        """Choose that, for all servers of this folder from the next one on."""
        if sync_interval:
            self.write(self.relaxed, f"{sync_interval!r}\n")
        else:
            self.relaxed.unlink(missing_ok=True)
            self._sync()

    def write(self, path: Path, text: str) -> None:
        """Replace a file as a whole: a reader sees the old text or the new one, and only the owner is one.

        It is on disk then, under its name.
        """
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)  # one left by a crash may have other permissions
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(fd)
        new.replace(path)
        self._sync()

    def _sync(self) -> None:
        """Return once the names of the folder's files are on disk."""
        folder = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @property
    def _ours(self) -> set[str]:
        files = (self.lock, self.server_lock, self.log, self.config, self._credentials, self._record)
        return {path.name for path in (*files, self.store)}

    @property
    def _shown(self) -> str:
        return str(self.path) if len(str(self.path)) <= 200 else f"{str(self.path)[:200]}…"


_CHOOSE = f"Choose another one by the folder argument or the environment variable {HOME_VARIABLE}"


def _default_path() -> Path:
    data = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification has relative paths ignored.
    base = Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share"
    return base / "jobledger" / "default"


def _read(path: Path, kind: type[_Kind]) -> _Kind | None:
    """Return what the JSON file says, None if it is missing, damaged or of another form."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, *UNDECODABLE):
        return None
