"""Avatars on disk: whatever happens, the old one or the new one."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from flexavatar.errors import AssetError, AvatarNotFoundError, ConflictError, InputError
from plugin_server import avatar_record
from plugin_server import store as store_module
from plugin_server.avatar_record import RECORD
from plugin_server.errors import StorageError
from plugin_server.store import Store, server_address
from tests.store_writer import load, record, save, write

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "avatars")
    yield store
    store.close()


def leftovers(root: Path) -> list[Path]:
    """What should not be there when nothing is under way."""
    hidden = (".previews", ".staging", ".replaced", ".deleted")
    return [path for name in hidden for path in (root / name).iterdir()]


def test_write_read_list_delete(store: Store, tmp_path: Path) -> None:
    write(store, "ada", 1)
    write(store, "bob", 2)
    assert store.names() == ["ada", "bob"]
    assert [r.gaussians for r in store.records()] == [1, 2]
    assert store.read("ada", load) == 1
    write(store, "ada", 3)
    assert store.read("ada", load) == 3
    store.delete("ada")
    assert store.names() == ["bob"]
    with pytest.raises(AvatarNotFoundError, match="ada"):
        store.read("ada", load)
    assert leftovers(tmp_path / "avatars") == []


def write_preview(store: Store, name: str, number: int) -> None:
    """Keep something for the while in which an avatar is made."""
    store.write(replace(record(name, number), preview=True), lambda folder: save(folder, number))


def test_a_preview_gives_way(store: Store, tmp_path: Path) -> None:
    with store.reserve("ada", replace=False):
        assert not store.drop_preview("ada")
        write_preview(store, "ada", 1)
        assert not store.is_stored("ada")
        assert [(r.name, r.gaussians, r.preview) for r in store.records()] == [("ada", 1, True)]
        assert store.read("ada", load) == 1
        store.write_beside("ada", "profile.json", "{}")
        before = store.identity("ada")
        store.write(record("ada", 2), lambda folder: save(folder, 2))
    assert store.identity("ada") != before
    assert [(r.name, r.gaussians, r.preview) for r in store.records()] == [("ada", 2, False)]
    assert leftovers(tmp_path / "avatars") == []


def test_a_preview_is_dropped(store: Store, tmp_path: Path) -> None:
    write_preview(store, "ada", 1)
    assert store.drop_preview("ada")
    assert store.names() == []
    assert leftovers(tmp_path / "avatars") == []


def test_a_preview_outlives_no_server(tmp_path: Path) -> None:
    """Neither one that stops nor one that is killed."""
    with closing(Store(tmp_path / "avatars")) as store:
        write(store, "ada", 1)
        write_preview(store, "bob", 2)
        assert store.names() == ["ada", "bob"]
    with closing(Store(tmp_path / "avatars")) as store:
        assert store.names() == ["ada"]
    assert leftovers(tmp_path / "avatars") == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../ada", "a/b", "/etc", ".staging", "-a", "Ada", "a" * 65, "a\0b", "ä", "a\n"],
)
def test_names_that_could_leave_the_folder_are_refused(store: Store, name: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.record(name),
        lambda: store.read(name, load),
        lambda: store.delete(name),
        lambda: write(store, name, 1),
    ]
    for call in calls:
        with pytest.raises(InputError, match="avatar name"):
            call()


def test_a_taken_name_is_a_conflict(store: Store) -> None:
    write(store, "ada", 1)
    with pytest.raises(ConflictError, match="exists already"):
        write(store, "ada", 2, replace=False)
    with store.reserve("eve", replace=False):
        with pytest.raises(ConflictError, match="right now"):
            write(store, "eve", 2)
    with store.reserve("ada", replace=True), pytest.raises(ConflictError, match="right now"):
        store.delete("ada")


def test_one_server_a_store(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="another server"):
        Store(tmp_path / "avatars")
    store.close()
    Store(tmp_path / "avatars").close()


def test_damage_is_found(store: Store, tmp_path: Path) -> None:
    for name in ("flipped", "short", "gone", "unrecorded", "garbled", "newer"):
        write(store, name, 1)
    root = tmp_path / "avatars"
    part = bytearray((root / "flipped/part1.bin").read_bytes())
    part[100] ^= 1
    (root / "flipped/part1.bin").write_bytes(part)
    (root / "short/part1.bin").write_bytes(part[:100])
    (root / "gone/part1.bin").unlink()
    (root / "unrecorded" / RECORD).unlink()
    (root / "garbled" / RECORD).write_text("[]")
    (root / "newer" / RECORD).write_text('{"version": 99}')
    for name in ("flipped", "short", "gone", "unrecorded", "garbled", "newer"):
        with pytest.raises(AssetError, match=name):
            store.read(name, load)
    listed = [r.name for r in store.records()]
    assert listed == ["flipped", "gone", "short"]  # their records are whole
    store.delete("unrecorded")  # what cannot be read can still be removed


def test_records_older_than_the_question_who_made_it(store: Store, tmp_path: Path) -> None:
    """Their manifest knows, if there is one."""
    for name in ("ada", "bob"):
        write(store, name, 1)
        path = tmp_path / "avatars" / name / RECORD
        content = json.loads(path.read_text())
        del content["avatar"]["model"]
        path.write_text(json.dumps(content))
    (tmp_path / "avatars/bob/manifest.json").write_text('{"model": "fit"}')
    assert [r.model for r in store.records()] == ["", "fit"]
    assert store.read("ada", load) == 1


class FaultError(Exception):
    """What a test throws in."""


STEPS = ("write_record", "flush", "size_and_sum")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_fault_while_writing_leaves_the_old(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: int
) -> None:
    write(store, "ada", 1)
    real, calls = getattr(avatar_record, step), iter(range(100))

    def faulty(*arguments: object) -> object:
        if next(calls) == after:
            raise FaultError
        return real(*arguments)

    with monkeypatch.context() as patch:
        for module in (avatar_record, store_module):
            patch.setattr(module, step, faulty)
        try:
            write(store, "ada", 2)
        except FaultError:
            assert store.read("ada", load) == 1
        else:
            assert store.read("ada", load) == 2
    assert leftovers(tmp_path / "avatars") == []


def test_a_failed_rename_puts_the_old_one_back(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, "ada", 1)
    rename = Path.rename

    def faulty(self: Path, target: Path) -> Path:
        if self.parent.name == ".staging":
            raise OSError("no")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", faulty)
        with pytest.raises(OSError, match="no"):
            write(store, "ada", 2)
    assert store.read("ada", load) == 1
    assert leftovers(tmp_path / "avatars") == []


def test_a_late_check_keeps_it_out(store: Store, tmp_path: Path) -> None:
    def refuse() -> None:
        raise FaultError

    with store.reserve("ada", replace=False), pytest.raises(FaultError):
        store.write(record("ada", 1), lambda folder: save(folder, 1), refuse)
    assert store.names() == []
    assert leftovers(tmp_path / "avatars") == []


def test_start_undoes_half_a_replacement(tmp_path: Path) -> None:
    root = tmp_path / "avatars"
    store = Store(root)
    write(store, "ada", 1)
    write(store, "bob", 1)
    store.close()
    (root / "ada").rename(root / ".replaced/ada")  # killed between the two renames
    (root / ".replaced/bob").mkdir()  # killed after the second
    (root / ".staging/x").mkdir()
    (root / ".deleted/y").mkdir()
    store = Store(root)
    assert store.read("ada", load) == 1
    assert store.read("bob", load) == 1
    assert leftovers(root) == []
    store.close()


def test_kill_at_any_moment(tmp_path: Path) -> None:
    """SIGKILL a writer at random moments: what it left is whole, and not older than it said."""
    root, moments, newest = tmp_path / "avatars", random.Random(6), 0
    for _ in range(30):
        command = [sys.executable, "-m", "tests.store_writer", str(root), str(newest + 1)]
        writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        said = int(writer.stdout.readline())
        threading.Event().wait(moments.uniform(0, 0.03))  # the moment, not a condition
        os.kill(writer.pid, signal.SIGKILL)
        said = max([said, *map(int, writer.stdout.read().split())])
        writer.wait(10)
        writer.stdout.close()
        with closing(Store(root)) as store:
            newest = store.read("kept", load)
            assert said <= newest <= said + 1
            assert leftovers(root) == []
            if "fleeting" in store.names():
                assert store.read("fleeting", load) <= newest


def test_readers_and_writers_at_once(store: Store) -> None:
    """Readers see the old or the new of an avatar that is replaced and deleted all the time."""
    write(store, "ada", 0)
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                store.read("ada", load)
                store.records()
            except (AvatarNotFoundError, ConflictError):
                pass
            except Exception as error:
                wrong.append(error)

    def churn() -> None:
        while not stop.is_set():
            try:
                write(store, "ada", 1)
                store.delete("ada")
            except (AvatarNotFoundError, ConflictError):
                pass
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for work in (read, read, churn, churn)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 1.5
    while time.monotonic() < end and not wrong:
        write_quietly(store)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert wrong == []


def write_quietly(store: Store) -> None:
    """One more writer, that may come at the wrong moment."""
    try:
        write(store, "ada", 2)
    except ConflictError:
        pass


def test_the_holder_says_where_it_listens(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "avatars"
    assert server_address(root) == ""
    store.announce("127.0.0.1:50051")
    with pytest.raises(ConflictError):
        Store(root)
    assert server_address(root) == "127.0.0.1:50051"  # who came too late has not wiped it out
    store.close()
    assert server_address(root) == ""
    (root / ".lock").write_text("127.0.0.1:9")  # left by one that was killed
    with closing(Store(root)):
        assert server_address(root) == ""


@pytest.mark.parametrize("place", ["file/avatars", "file", "folder"])
def test_a_folder_that_cannot_be_used(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder/.lock").mkdir(parents=True)
    with pytest.raises(InputError, match=r"store: cannot use .*/(file|folder)"):
        Store(tmp_path / place)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gaussians", -1),
        ("gaussians", 1 << 40),
        ("photos", "many"),
        ("created_unix_ms", 1e30),
        ("created_unix_ms", 1 << 70),
        ("create_s", "soon"),
        ("metrics", {"pictures": []}),
        ("metrics", 5),
    ],
)
def test_a_record_out_of_range_spoils_no_list(
    store: Store, tmp_path: Path, name: str, value: object
) -> None:
    for avatar in ("ada", "bob"):
        write(store, avatar, 1)
    path = tmp_path / "avatars" / "ada" / RECORD
    content = json.loads(path.read_text())
    content["avatar"][name] = value
    path.write_text(json.dumps(content))
    assert [record.name for record in store.records()] == ["bob"]
    with pytest.raises(AssetError, match=r"record\.json is damaged"):
        store.record("ada")


def test_a_stray_file_prevents_no_start(tmp_path: Path) -> None:
    root = tmp_path / "avatars"
    with closing(Store(root)) as store:
        write(store, "ada", 1)
    for folder in (".staging", ".replaced", ".deleted"):
        (root / folder / "stray").write_text("")
    (root / ".staging" / "link").symlink_to(root / "ada")
    with closing(Store(root)) as store:
        assert store.read("ada", load) == 1
        assert leftovers(root) == []


def test_a_deleted_lock_lets_nobody_in(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "avatars"
    (root / ".lock").unlink()
    with pytest.raises(ConflictError, match="in use by another server"):
        Store(root)
    assert server_address(root) == ""


def test_a_full_disk_says_so(store: Store, tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with store.reserve("ada", replace=False):
        with pytest.raises(StorageError, match="no space left on device"):
            store.write(record("ada", 1), full)
    assert leftovers(tmp_path / "avatars") == []


def test_the_secret_stays(tmp_path: Path) -> None:
    """Owners are known again after a restart; nobody else may read it."""
    found = []
    for _ in range(2):
        with closing(Store(tmp_path)) as store:
            found.append(store.secret())
    assert found[0] == found[1]
    assert (tmp_path / ".secret").stat().st_mode & 0o077 == 0
