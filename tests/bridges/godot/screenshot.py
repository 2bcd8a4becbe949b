"""Shows a session's Gaussians in Godot 3, on a screen of its own, and takes a picture.

`python -m tests.bridges.godot.screenshot ADDRESS AVATAR OUT.png` does so with an avatar of a
running server, and writes the server's own picture beside Godot's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.session import ClientSession
from plugin_server.pb import flexavatar_pb2 as pb
from tests.bridges.pictures import LAST_PTS_NS, Screenshot, drive_smile, last_picture

PROJECT = Path(__file__).parent
GODOT = ["godot3", "--path", str(PROJECT), "--video-driver", "GLES3", "--audio-driver", "Dummy"]
PATIENCE_S = 40.0


@dataclass(frozen=True)
class GodotScreenshot(Screenshot):
    """With what arrived on the way."""

    keys: int
    deltas: int


@contextmanager
def screen() -> Iterator[str]:
    """A screen without a monitor; gives the name of the display."""
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield f":{process.stdout.readline().strip()}"
        finally:
            process.terminate()


@contextmanager
def godot(session: Path) -> Iterator[subprocess.Popen[str]]:
    """The viewer on a session; what it keeps goes into the folder of the file."""
    folder = str(session.parent)
    places = {f"XDG_{kind}_HOME": folder for kind in ("DATA", "CONFIG", "CACHE")}
    with screen() as display:
        software = {"DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1", "LANG": "en_US"}
        environment = {**os.environ, **places, **software, "FLEXAVATAR_SESSION": str(session)}
        with subprocess.Popen(
            GODOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            patience = threading.Timer(PATIENCE_S, process.kill)
            patience.start()
            try:
                yield process
            finally:
                patience.cancel()
                process.kill()


def description(session: pb.Session, picture: Path) -> str:
    """What the viewer must know."""
    numbers = {"width": session.width, "height": session.height, "gaussians": session.gaussians}
    camera = {"viewmat": list(session.camera.viewmat), "K": list(session.camera.K)}
    stream = {"frame_address": session.frame_address, "topic": list(session.topic)}
    asked = {"last_pts_ns": LAST_PTS_NS, "picture": str(picture)}
    return json.dumps({**numbers, **camera, **stream, **asked})


def drive_and_draw(session: ClientSession, folder: Path) -> tuple[np.ndarray, dict[str, int]]:
    """Drive a session while Godot draws it; its last picture, and what it counted."""
    asked, picture = folder / "session.json", folder / "godot.png"
    asked.write_text(description(session.info, picture))
    with godot(asked) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line == "drawing\n":
                drive_smile(session)
    drawn = cv2.imread(str(picture))
    assert drawn is not None, "Godot saved no picture: " + "".join(said)
    return cv2.cvtColor(drawn, cv2.COLOR_BGR2RGB), json.loads(said[-1])


def take_screenshot(client: FlexAvatarClient, avatar: str) -> GodotScreenshot:
    """Drive an avatar, draw the stream with Godot; both pictures in the end."""
    kinds = (pb.STREAM_KIND_SPLATS, pb.STREAM_KIND_RGBA8)
    with (
        tempfile.TemporaryDirectory() as folder,
        client.start_session(avatar, kinds=kinds) as session,
        closing(session.reader([pb.STREAM_KIND_RGBA8], latest=True)) as reader,
    ):
        session.drive_once({}, pts_ns=0)
        picture, counted = drive_and_draw(session, Path(folder))
        return GodotScreenshot(picture, last_picture(reader), **counted)


def main(address: str, avatar: str, out: str) -> None:
    """Write both pictures side by side, and say how alike they are."""
    with FlexAvatarClient(address) as client:
        take_screenshot(client, avatar).write(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
