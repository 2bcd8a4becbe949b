"""Avatars on disk: one folder each, and a kill at any moment leaves the old or the new.

    <root>/<name>/            what the engine saved, and record.json with the files' sizes and sums
    <root>/.previews/<name>   shown while an avatar is made that nothing has the name of yet
    <root>/.staging/<random>  being written
    <root>/.replaced/<name>   the old one, for the instant in which the new one takes its place
    <root>/.deleted/<random>  being removed
    <root>/.lock              held, as the folder is, by the one server here; says where it listens
    <root>/.secret            tells owners of sessions from others, also after a restart

An avatar appears by one rename of a folder that is complete and flushed. Only a replacement needs
two; if the second did not happen, the next start undoes the first.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR
from typing import IO, Any, TypeVar

from flexavatar.errors import AssetError, AvatarNotFoundError, ConflictError, InputError
from plugin_server.avatar_record import (
    AvatarRecord,
    flush,
    flush_tree,
    read_record,
    size_and_sum,
    write_record,
)
from plugin_server.errors import StorageError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
LOCK, SECRET, PREVIEWS = ".lock", ".secret", ".previews"
SECRET_BYTES = 32
NO_SPACE = "No space left on device"
"""As the system says it, also through libraries whose errors are their own."""
REPLACED_TIMES = 8
"""A reader that finds an avatar replaced in the middle this often gives up."""

T = TypeVar("T")
Place = tuple[Path, tuple[int, int]]
"""An avatar's folder, and what tells it from one that replaces it."""


def check_name(name: str) -> str:
    """The name, if it can be an avatar's. Raises InputError."""
    if not NAME.fullmatch(name):
        raise InputError(
            "avatar name: expected 1 to 64 of a-z 0-9 _ -, starting with a letter or digit,"
            f" got {name[:80]!r}"
        )
    return name


class Store:
    """The avatars under one folder. Safe to use from several threads."""

    def __init__(self, root: Path) -> None:
        """Raises InputError for a folder that cannot be used, ConflictError if a server does."""
        self._root = root
        self._busy: set[str] = set()
        self._mutex = threading.RLock()
        self._threads = ThreadPoolExecutor(thread_name_prefix="store")
        try:
            for folder in (root, self._previews, self._staging, self._replaced, self._deleted):
                folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as held:
                self._folder_lock = held.enter_context(_lock_folder(root))
                self._lock = held.enter_context(_lock(root / LOCK))
                self._recover()
                held.pop_all()
        except OSError as error:
            where = error.filename or root
            raise InputError(f"store: cannot use {where}: {error.strerror}") from error

    @property
    def _previews(self) -> Path:
        return self._root / PREVIEWS

    @property
    def _staging(self) -> Path:
        return self._root / ".staging"

    @property
    def _replaced(self) -> Path:
        return self._root / ".replaced"

    @property
    def _deleted(self) -> Path:
        return self._root / ".deleted"

    def _recover(self) -> None:
        """Put right what a kill left: undo half replacements, remove what is half written."""
        for old in self._replaced.iterdir():
            if not (self._root / old.name).exists():
                old.rename(self._root / old.name)
        flush(self._root)
        for folder in (self._previews, self._replaced, self._staging, self._deleted):
            for leftover in folder.iterdir():
                _remove(leftover)

    @contextmanager
    def reserve(self, name: str, replace: bool) -> Iterator[None]:
        """Hold a name while its avatar is made. Raises InputError, ConflictError."""
        check_name(name)
        with self._mutex:
            if name in self._busy:
                raise ConflictError(f"avatar {name!r} is being made or removed right now")
            if not replace and (self._root / name).exists():
                raise ConflictError(f"avatar {name!r} exists already: delete or replace it")
            self._busy.add(name)
        try:
            yield
        finally:
            with self._mutex:
                self._busy.discard(name)

    def write(
        self,
        record: AvatarRecord,
        save: Callable[[Path], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Put an avatar in place, whole or not at all. The caller has reserved its name.

        `save` fills an empty folder; `check` may still raise just before the avatar appears. A
        preview gives way to the avatar, or to `drop_preview`, and outlives no server.
        """
        folder = self._staging / secrets.token_hex(8)
        folder.mkdir()
        try:
            save(folder)
            write_record(folder, record)
            if record.preview:
                check()
                folder.rename(self._previews / record.name)
            else:
                flush_tree(folder)
                check()
                self._install(folder, record.name)
                self.drop_preview(record.name)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if NO_SPACE in str(error):
                raise StorageError(f"store: {NO_SPACE.lower()}") from error
            raise

    def _install(self, folder: Path, name: str) -> None:
        """Rename a complete folder to its avatar's name; an old one steps aside first."""
        target, old = self._root / name, self._replaced / name
        if old.exists():
            shutil.rmtree(old)
        with self._mutex:
            if target.exists():
                target.rename(old)
            try:
                folder.rename(target)
            except BaseException:
                if old.exists():
                    old.rename(target)
                raise
            flush(self._root)
        if old.exists():
            shutil.rmtree(old)

    def is_stored(self, name: str) -> bool:
        """Whether there is an avatar of that name, and not a preview alone."""
        return (self._root / check_name(name)).exists()

    def drop_preview(self, name: str) -> bool:
        """Remove the preview of an avatar; whether there was one."""
        trash = self._deleted / secrets.token_hex(8)
        try:
            (self._previews / name).rename(trash)
        except FileNotFoundError:
            return False
        shutil.rmtree(trash)
        return True

    def names(self) -> list[str]:
        """All avatars, sorted."""
        found = (*self._root.iterdir(), *self._previews.iterdir())
        return sorted({path.name for path in found if NAME.fullmatch(path.name)})

    def records(self) -> list[AvatarRecord]:
        """All avatars that are whole, by name."""
        found = []
        for name in self.names():
            try:
                found.append(self.record(name))
            except (AvatarNotFoundError, AssetError):
                continue  # deleted meanwhile, or damaged: `record` says so to who asks for it
        return found

    def record(self, name: str) -> AvatarRecord:
        """One avatar's record. Raises AvatarNotFoundError, AssetError, InputError."""
        read = lambda folder: read_record(folder)[0]  # noqa: E731
        return _read_steadily(name, lambda: self._find(name), read)

    def read(self, name: str, load: Callable[[Path], T]) -> T:
        """What `load` makes of the avatar's folder, once its files agree with the record.

        Raises AvatarNotFoundError, AssetError.
        """

        def checked(folder: Path) -> T:
            for file, measure in read_record(folder)[1].items():
                if size_and_sum(folder / file) != measure:
                    raise AssetError(f"avatar {name!r}: {file} is damaged")
            return load(folder)

        return _read_steadily(name, lambda: self._find(name), checked)

    def delete(self, name: str) -> None:
        """Remove an avatar. Raises AvatarNotFoundError, ConflictError while it is being made."""
        trash = self._deleted / secrets.token_hex(8)
        with self._mutex:
            folder, _ = self._find(name)
            if name in self._busy:
                raise ConflictError(f"avatar {name!r} is being replaced right now")
            folder.rename(trash)
            flush(self._root)
        shutil.rmtree(trash)

    def write_beside(self, name: str, file: str, content: str) -> None:
        """Keep a small file with an avatar, whole or not at all; it goes when the avatar goes.

        Raises AvatarNotFoundError.
        """
        made = self._staging / secrets.token_hex(8)
        made.write_text(content)
        flush(made)
        with self._mutex:
            made.replace(self._find(name)[0] / file)

    def folder(self, name: str) -> Path:
        """Where an avatar lies now. Raises AvatarNotFoundError, InputError."""
        return self._find(name)[0]

    def identity(self, name: str) -> tuple[int, int]:
        """What tells an avatar from one that replaces it.

        Raises AvatarNotFoundError, InputError.
        """
        return self._find(name)[1]

    def _find(self, name: str) -> Place:
        with self._mutex:
            return _find(self._root, name)

    def announce(self, address: str) -> None:
        """Write into the lock file that this server listens on host:port."""
        self._lock.write(address)
        self._lock.flush()

    async def in_thread(self, action: Callable[..., T], *arguments: Any) -> T:
        """The result of an action on a thread of the store, which is not closed before it ends."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, action, *arguments)

    def close(self) -> None:
        """Let another server use this store, once no thread of `in_thread` is at work."""
        self._threads.shutdown()
        if not self._lock.closed:
            self._lock.truncate(0)
        self._lock.close()
        self._folder_lock.close()

    def secret(self) -> bytes:
        """Random bytes that stay the same for as long as the store is there."""
        path = self._root / SECRET
        with suppress(FileNotFoundError):
            if len(found := path.read_bytes()) == SECRET_BYTES:
                return found
        made = self._staging / secrets.token_hex(8)
        with open(made, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
        flush(made)
        made.rename(path)
        return path.read_bytes()


def _remove(path: Path) -> None:
    """A folder with all in it, or whatever lies in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _find(root: Path, name: str) -> Place:
    """Raises AvatarNotFoundError, InputError."""
    for folder in (root / check_name(name), root / PREVIEWS / name):
        with suppress(FileNotFoundError, NotADirectoryError):
            status = folder.stat()
            if S_ISDIR(status.st_mode):
                return folder, (status.st_ino, status.st_mtime_ns)
    raise AvatarNotFoundError(f"no avatar {name!r}")


def _read_steadily(name: str, find: Callable[[], Place], read: Callable[[Path], T]) -> T:
    """What `read` makes of the avatar's folder, again if it was replaced in the middle."""
    for _ in range(REPLACED_TIMES):
        folder, identity = find()
        try:
            result = read(folder)
        except FileNotFoundError as error:
            if find()[1] == identity:
                raise AssetError(f"avatar {name!r}: {error.filename} is missing") from error
        except Exception:  # whatever half an old and half a new avatar may lead to
            if find()[1] == identity:
                raise
        else:
            if find()[1] == identity:
                return result
    raise ConflictError(f"avatar {name!r} is being replaced over and over")


def read_beside_server(root: Path, name: str, load: Callable[[Path], T]) -> T:
    """An avatar of a store that a server may hold and change meanwhile.

    Raises AvatarNotFoundError, AssetError, ConflictError, InputError.
    """

    def find() -> Place:
        for wait_s in (0.05, 0.2):  # a replacement is two renames
            with suppress(AvatarNotFoundError):
                return _find(root, name)
            time.sleep(wait_s)
        return _find(root, name)

    return _read_steadily(name, find, load)


@contextmanager
def _open_folder(root: Path) -> Iterator[int]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_folder(root: Path) -> ExitStack:
    """Hold the folder itself: a lock file may be deleted. Raises ConflictError."""
    with ExitStack() as held:
        descriptor = held.enter_context(_open_folder(root))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(f"{root} is in use by another server") from error
        return held.pop_all()


def _lock(path: Path) -> IO[str]:
    """Take the store for this process, until the file is closed or the process is gone."""
    file = path.open("a")  # what the holder wrote must stay
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise ConflictError(f"{path.parent} is in use by another server") from error
    file.truncate(0)  # a holder that was killed may have left its address
    return file


def server_address(root: Path) -> str:
    """host:port of the server that holds this store, "" if it has not announced it yet."""
    with suppress(FileNotFoundError):
        return (root / LOCK).read_text()
    return ""
