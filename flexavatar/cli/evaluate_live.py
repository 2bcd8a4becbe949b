"""`flexavatar evaluate live` and `video`: phones' packets, or a webcam's pictures, to frames."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from flexavatar.cli.evaluate_options import ReportOptions
from flexavatar.progress import progress_bar
from plugin_server.gateways.config import ProtocolName

if TYPE_CHECKING:
    from flexavatar.evaluation.report import Item

NAME = "evaluated"
"""Of the avatar in a store of its own."""


@contextmanager
def _store_of_one(photo: Path, quick: bool) -> Iterator[Path]:
    """A folder with one avatar, NAME, that is there while the block runs."""
    from flexavatar.cli.connect import ServerOptions, connect

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        with progress_bar(f"making {photo.name}") as report:
            with connect(ServerOptions(store)) as client:
                client.create_avatar([photo], NAME, quick, progress=report)
        yield store


@dataclass(frozen=True)
class EvaluateLive(ReportOptions):
    """A performance sent as capture apps send it, against what frames show, and how late."""

    photo: tyro.conf.Positional[Path]
    """The avatar is made from it."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A recording of Live Link Face, .csv; the performance that ships if not given."""
    protocols: tuple[ProtocolName, ...] = (
        "live-link-face",
        "ifacialmocap",
        "ifacialmocap-v3",
        "vmc",
        "vtube-studio",
    )
    """Which to speak, one after the other."""
    fps: float = 60.0
    """Packets a second."""
    lose: float = 0.02
    """Share of packets that get lost."""
    width: int = 512
    """Pixels."""
    height: int = 512
    """Pixels."""
    quick: bool = False
    """Make the avatar in seconds; less sharp."""

    def run(self) -> None:
        """Make the avatar, then drive it through every protocol."""
        from flexavatar.avatar.avatar import load_avatar
        from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance
        from flexavatar.evaluation.live import ABOUT, LiveConfig, evaluate_directly, evaluate_live

        frames = read_performance(self.source or SHIPPED_PERFORMANCE)
        config = LiveConfig(self.fps, self.lose, self.width, self.height)
        items: list[Item] = []
        with _store_of_one(self.photo, self.quick) as store:
            with progress_bar("drawing") as report:
                items.append(evaluate_directly(load_avatar(store / NAME), frames, report))
            for protocol in self.protocols:
                with progress_bar(protocol) as report:
                    items.append(evaluate_live(store, NAME, protocol, frames, config, report))
        self.publish("live", ABOUT, items)


@dataclass(frozen=True)
class EvaluateVideo(ReportOptions):
    """People in videos drive an avatar as through a webcam: does it follow, and how late?"""

    photo: tyro.conf.Positional[Path]
    """The avatar is made from it."""
    videos: tyro.conf.Positional[tuple[Path, ...]]
    """Videos of one person each."""
    width: int = 512
    """Pixels."""
    height: int = 512
    """Pixels."""
    quick: bool = False
    """Make the avatar in seconds; less sharp."""

    def run(self) -> None:
        """Make the avatar, ask shapes of it, then drive it by every video."""
        from flexavatar.avatar.avatar import load_avatar
        from flexavatar.evaluation.face_reader import evaluate_face_reader
        from flexavatar.evaluation.video import ABOUT, evaluate_video

        with _store_of_one(self.photo, self.quick) as store:
            with progress_bar("reading shapes") as report:
                items = [evaluate_face_reader(load_avatar(store / NAME), report)]
            for video in self.videos:
                with progress_bar(video.name) as report:
                    size = self.width, self.height
                    items.append(evaluate_video(store, NAME, video, size, report))
        self.publish("video", ABOUT, items)
