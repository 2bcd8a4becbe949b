"""Avatars are made in a process of its own, at low priority.

So its memory goes with it, it takes no turns of Python's lock from the frames and leaves them the
processor first, it can be stopped at once, and its crash is one creation's end.
`python -m plugin_server.create_process FD` is that process: it speaks pickle over a socket that it
has inherited from its server.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, TypeAlias, cast

from flexavatar.errors import FlexAvatarError
from flexavatar.progress import Progress
from plugin_server.engine import Recipe

Line: TypeAlias = "Connection[Any, Any]"
POLL_S = 0.25
NICE = 10
ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy's products are small there, and two threads that wait for each other on cores that draw
frames take ten times as long."""
PROGRESS, SHOWN, DONE, FAILED = "progress", "shown", "done", "failed"
PREVIEW = "preview"


class CreationCrashError(FlexAvatarError):
    """The process that made an avatar ended without a word, for want of memory perhaps."""


def create_apart(
    photos: Sequence[bytes],
    recipe: Recipe,
    folder: Path,
    progress: Progress,
    on_preview: Callable[[], None],
) -> Mapping[str, float]:
    """Make an avatar and save it into an empty folder; how good it came out.

    `on_preview` is called once its preview is in the folder PREVIEW in there. Raises ImageError,
    FaceError, InputError, CreationCrashError, and what `progress` and `on_preview` raise.
    """
    ends: Any = Pipe()  # Connections, but on Windows
    ours, theirs = ends
    command = [sys.executable, "-m", "plugin_server.create_process", str(theirs.fileno())]
    environment = {**os.environ, **ONE_BLAS_THREAD, "PYTHONPATH": os.pathsep.join(sys.path)}
    with ours, subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment) as process:
        theirs.close()
        # on a thread: it takes as long as the process takes to start, and nobody may wait that long
        sending = threading.Thread(target=_send, args=(ours, (photos, recipe, folder)))
        sending.start()
        try:
            return _follow(ours, progress, on_preview)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            status = process.wait()
            raise CreationCrashError(f"the making ended with status {status}") from None
        finally:
            process.kill()
            sending.join()


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


def serve(line: Line) -> None:
    """Make one avatar as the other end says."""
    photos, recipe, folder = line.recv()
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
