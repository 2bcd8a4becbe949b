"""Avatars are made in a process of its own, at low priority.

So its memory goes with it, it takes no turns of Python's lock from the frames and leaves them the
processor first, it can be stopped at once, and its crash is one creation's end.
`python -m plugin_server.create_process FD` is that process: it speaks pickle over a socket that it
has inherited from its server.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.resources import files
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, TypeAlias, cast

from flexavatar.errors import FlexAvatarError
from flexavatar.progress import Progress
from plugin_server.engine import Recipe

Line: TypeAlias = "Connection[Any, Any]"
POLL_S = 0.25
NICE = 10
PROGRESS, SHOWN, DONE, FAILED = "progress", "shown", "done", "failed"
PREVIEW = "preview"
SAMPLE = Path(str(files("flexavatar"))) / "assets/portrait/astronaut.png"


def release_memory() -> None:
    """Give the system what the allocator keeps: a creation's hundreds of MiB, for one."""
    with suppress(OSError, AttributeError):  # another libc
        ctypes.CDLL(None).malloc_trim(0)


class CreationCrashError(FlexAvatarError):
    """The process that made an avatar ended without a word, for want of memory perhaps."""


class CreationProcess:
    """A process that makes one avatar; it loads what that takes before it knows of which photos."""

    def __init__(self) -> None:
        ends: Any = Pipe()  # Connections, but on Windows
        self._line, theirs = ends
        command = [sys.executable, "-m", "plugin_server.create_process", str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with theirs:
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def create(
        self,
        photos: Sequence[bytes],
        recipe: Recipe,
        folder: Path,
        progress: Progress,
        on_preview: Callable[[], None],
    ) -> Mapping[str, float]:
        """Make an avatar and save it into an empty folder; how good it came out.

        `on_preview` is called once its preview is in the folder PREVIEW in there. Raises
        ImageError, FaceError, InputError, CreationCrashError, and what `progress` and `on_preview`
        raise.
        """
        # on a thread: it takes as long as the process takes to start, and nobody may wait that long
        sending = threading.Thread(target=_send, args=(self._line, (photos, recipe, folder)))
        sending.start()
        try:
            return _follow(self._line, progress, on_preview)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            status = self._process.wait()
            raise CreationCrashError(f"the making ended with status {status}") from None
        finally:
            self._process.kill()
            sending.join()

    def close(self) -> None:
        """End it, whatever it is at."""
        self._process.kill()
        self._process.wait()
        self._line.close()


class CreationProcesses:
    """Starts them, and has one ready if so asked: a preview then takes a third of the time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready: CreationProcess | None = None
        self._running = 0

    def make_one_ready(self) -> None:
        """Unless there is one, or others work, whom it would hold up."""
        with self._lock:
            if not self._running and (self._ready is None or not self._ready.alive):
                if self._ready is not None:
                    self._ready.close()
                self._ready = CreationProcess()

    @contextmanager
    def one(self) -> Iterator[CreationProcess]:
        """A process, which ends with the block."""
        with self._lock:
            self._running += 1
            ready, self._ready = self._ready, None
        if ready is not None and not ready.alive:
            ready.close()
            ready = None
        process = ready or CreationProcess()
        try:
            yield process
        finally:
            process.close()
            with self._lock:
                self._running -= 1

    def close(self) -> None:
        """Let go of the one that is ready."""
        with self._lock:
            ready, self._ready = self._ready, None
        if ready is not None:
            ready.close()


def _send(line: Line, order: object) -> None:
    """Hand over what is to be made, unless the process is gone before."""
    with suppress(OSError):
        line.send(order)


def _follow(line: Line, progress: Progress, on_preview: Callable[[], None]) -> Mapping[str, float]:
    """Pass on what the process says until it is done. Raises EOFError when it is gone."""
    stage, share = "starting", 0.0
    while True:
        if not line.poll(POLL_S):
            progress(stage, share)  # it raises when nobody waits any more
            continue
        kind, said = line.recv()
        if kind == DONE:
            return said
        if kind == FAILED:
            raise said
        if kind == SHOWN:
            on_preview()
            continue
        stage, share = said
        progress(stage, share)


class _EnoughError(Exception):
    """All is loaded, or somebody waits."""


def warm_up(line: Line) -> None:
    """Make a preview of the portrait that ships, until there is something better to do.

    Networks, rigs, charts and compiled code are loaded by their first use.
    """
    if line.poll():
        return
    from flexavatar.capture.read_portraits import read_portraits
    from flexavatar.create.create import create_avatar_from_portraits

    def go_on(stage: str, share: float) -> None:
        if line.poll():
            raise _EnoughError

    def end(preview: object) -> None:
        raise _EnoughError

    with suppress(_EnoughError):
        portraits = read_portraits([SAMPLE.read_bytes()], go_on)
        create_avatar_from_portraits(portraits, progress=go_on, show=end)
    release_memory()


def serve(line: Line) -> None:
    """Make one avatar as the other end says; nothing if it is gone."""
    warm_up(line)
    try:
        photos, recipe, folder = line.recv()
    except (EOFError, ConnectionResetError):
        return
    try:
        line.send((DONE, create(photos, recipe, folder, line)))
    except FlexAvatarError as error:
        line.send((FAILED, error))
    except BrokenPipeError:
        pass  # nobody waits any more
    except Exception:  # a traceback is told as text: another process cannot hold it
        line.send((FAILED, RuntimeError(traceback.format_exc())))


def create(
    photos: Sequence[bytes], recipe: Recipe, folder: Path, line: Line
) -> Mapping[str, float]:
    """Files -> a saved avatar; how close it comes to its best picture, of how many.

    Raises ImageError, FaceError, InputError.
    """
    # late: the server itself needs none of it
    from flexavatar.avatar.avatar import AnyAvatar, save_avatar
    from flexavatar.capture.read_portraits import read_portraits
    from flexavatar.create.create import (
        READING_SHARE,
        CreateConfig,
        Model,
        create_avatar_from_portraits,
    )
    from flexavatar.create.image_metrics import input_psnr_db

    def progress(stage: str, share: float) -> None:
        line.send((PROGRESS, (stage, share)))

    def show(preview: AnyAvatar) -> None:
        (folder / PREVIEW).mkdir()
        save_avatar(preview, folder / PREVIEW)
        line.send((SHOWN, None))

    portraits = read_portraits(photos, lambda w, share: progress(w, READING_SHARE * share))
    config = CreateConfig(quick=recipe.quick)
    if recipe.model:
        config = replace(config, model=cast(Model, recipe.model))
    avatar = create_avatar_from_portraits(portraits, config, progress, show)
    save_avatar(avatar, folder)
    return {"input_psnr_db": input_psnr_db(avatar, portraits[0]), "pictures": len(portraits)}


if __name__ == "__main__":
    os.nice(NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its server decides
    serve(Connection(int(sys.argv[1])))
