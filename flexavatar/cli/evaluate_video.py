"""`flexavatar evaluate video`: a webcam's pictures to frames."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro

from flexavatar.cli.evaluate_options import ReportOptions
from flexavatar.progress import progress_bar

NAME = "video"


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
        from flexavatar.cli.connect import ServerOptions, connect
        from flexavatar.evaluation.face_reader import evaluate_face_reader
        from flexavatar.evaluation.video import ABOUT, evaluate_video

        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder)
            with progress_bar(f"making {self.photo.name}") as report:
                with connect(ServerOptions(store)) as client:
                    client.create_avatar([self.photo], NAME, self.quick, progress=report)
            with progress_bar("reading shapes") as report:
                items = [evaluate_face_reader(load_avatar(store / NAME), report)]
            for video in self.videos:
                with progress_bar(video.name) as report:
                    size = self.width, self.height
                    items.append(evaluate_video(store, NAME, video, size, report))
        self.publish("video", ABOUT, items)
