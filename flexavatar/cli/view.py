"""`flexavatar view`: a window that shows a running session, to look at or to capture."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import tyro

from flexavatar.cli.connect import ServerOptions, connect
from flexavatar.errors import FlexAvatarError, InputError, SessionNotFoundError

if TYPE_CHECKING:
    from plugin_server.client.client import FlexAvatarClient
    from plugin_server.client.frame_reader import FrameReader
    from plugin_server.pb.flexavatar_pb2 import Session

WAIT_S = 0.1
AGAIN_MS = 500
QUIT_KEYS = (27, ord("q"))
NO_KEYS: Mapping[int, Callable[[], object]] = {}


@dataclass(frozen=True)
class View:
    """Show a running session in a window, until it is closed or q is pressed."""

    session: tyro.conf.Positional[str]
    """Its name: that of the avatar, if `flexavatar serve --show` started it."""
    where: tyro.conf.OmitArgPrefixes[ServerOptions]
    background: str = "808080"
    """Colour behind the head, RRGGBB; 00ff00 to key it out."""

    def run(self) -> None:
        """Open the window and show the newest frame, again and again."""
        check_background(self.background)
        if not has_screen():
            raise InputError("view: expected a screen, found neither DISPLAY nor WAYLAND_DISPLAY")
        with connect(self.where) as client:
            found: Session | None = client.get_session(self.session)
            while found is not None and (ended := self._show(client, found)):
                print(f"{ended}; waiting for it to come back", flush=True)
                found = self._find_again(client)

    def _show(self, client: FlexAvatarClient, session: Session) -> str:
        """Show a session until the window is closed, or it ends: the reason then, else nothing."""
        from plugin_server.client.frame_reader import FrameReader
        from plugin_server.pb import flexavatar_pb2 as pb

        find = partial(client.get_session, self.session)
        kinds = (pb.STREAM_KIND_RGBA8,)
        with closing(FrameReader(session, kinds, latest=True, renew=find)) as reader:
            try:
                show_frames(reader, self._title, self.background)
            except SessionNotFoundError as error:
                return str(error)
        return ""

    @property
    def _title(self) -> str:
        return f"FlexAvatar: {self.session}"

    def _find_again(self, client: FlexAvatarClient) -> Session | None:
        """The session of this name once there is one, None if the window is closed before."""
        import cv2

        while cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1:
            with suppress(FlexAvatarError):
                return client.get_session(self.session)
            if cv2.waitKey(AGAIN_MS) in QUIT_KEYS:
                break
        cv2.destroyAllWindows()
        return None


def check_background(color: str) -> None:
    """Raise InputError for what is no colour."""
    if not re.fullmatch("[0-9a-fA-F]{6}", color):
        raise InputError(f"background: expected RRGGBB, got {color!r}")


def has_screen() -> bool:
    """Whether a window can be opened."""
    return sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


def show_frames(
    reader: FrameReader,
    title: str,
    background: str,
    keys: Mapping[int, Callable[[], object]] = NO_KEYS,
    over: Callable[[], bool] = lambda: False,
) -> None:
    """A window with the newest frame, until it is closed, q is pressed, or all is over."""
    import cv2

    from flexavatar.render.composite import over_color

    color = tuple(bytes.fromhex(background))
    os.environ["QT_QPA_FONTDIR"] = "/usr/share/fonts"  # OpenCV's Qt brings none, and complains
    problem = ""
    cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
    while cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1 and not over():
        received = reader.receive(WAIT_S)
        if reader.problem != problem:
            problem = reader.problem
            print(problem or "frames come again", flush=True)
        if received is not None and received.rgba is not None:
            shown = over_color(received.rgba, color)
            cv2.imshow(title, cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
        if (key := cv2.waitKey(1)) in QUIT_KEYS:
            break
        if key in keys:
            keys[key]()
    cv2.destroyAllWindows()
