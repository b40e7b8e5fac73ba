"""Which folder is meant, and who may use it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobledger.adapters.embedded.folder import Credentials, DataFolder
from jobledger.adapters.embedded.locks import FileLock, is_locked
from jobledger.core.errors import ArgumentError


def test_the_argument_goes_before_the_environment_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("JOBLEDGER_HOME", raising=False)
    assert DataFolder.locate().path == tmp_path / ".local" / "share" / "jobledger" / "default"
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert DataFolder.locate().path == tmp_path / ".local" / "share" / "jobledger" / "default"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert DataFolder.locate().path == tmp_path / "xdg" / "jobledger" / "default"
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path / "chosen"))
    assert DataFolder.locate().path == tmp_path / "chosen"
    assert DataFolder.locate(tmp_path / "argument").path == tmp_path / "argument"
    assert DataFolder.locate("~/mine").path == tmp_path / "mine"


def test_one_folder_has_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real").mkdir()
    monkeypatch.chdir(tmp_path)
    names = ("real", "link", "./real/../link", str(tmp_path / "real"))
    assert {DataFolder.locate(name).path for name in names} == {tmp_path / "real"}


@pytest.mark.parametrize("path", ["a\0b", "loop"])
def test_a_path_that_is_none(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match="data folder"):
        DataFolder.locate(path).create()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ArgumentError, match="Permission denied"):
        DataFolder.locate(tmp_path / "data").create()


def test_credentials_are_made_once_and_never_shown(tmp_path: Path) -> None:
    folder = DataFolder.locate(tmp_path)
    assert folder.credentials() is None
    credentials = folder.ensure_credentials()
    assert folder.ensure_credentials() == credentials == folder.credentials()
    assert len({credentials.client, credentials.engine, credentials.system}) == 3
    assert credentials.client not in repr(credentials)
    assert Credentials.generate() != credentials


def test_a_lock_ends_with_its_holder_and_with_its_file(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert not is_locked(tmp_path / "lock")
    assert first.acquire()
    assert is_locked(tmp_path / "lock")
    assert not second.acquire(patience=0.05)
    assert first.is_in_place()
    (tmp_path / "lock").unlink()
    assert not first.is_in_place()
    assert second.acquire()
    second.release()
    assert not is_locked(tmp_path / "lock")
    first.release()
