"""`python -m flexavatar.demo`: photo -> avatar -> drive -> frames -> video, all over the wire."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro

from flexavatar.demo import SHIPPED_PORTRAIT
from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance
from flexavatar.errors import FlexAvatarError
from flexavatar.formats.video_writer import VideoWriter
from flexavatar.progress import progress_bar
from flexavatar.types import NS_PER_S
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.live_performance import Arrival, perform_live
from plugin_server.client.server_process import server_process
from plugin_server.pb import flexavatar_pb2 as pb

NAME = "portrait"


@dataclass(frozen=True)
class DemoConfig:
    """The main job from end to end; writes performance.mp4, contact_sheet.png and run.json."""

    out: Path = Path("out")
    """Folder of what is written."""
    photo: Path = SHIPPED_PORTRAIT
    """One face; the astronaut that ships if not given."""
    performance: Path = SHIPPED_PERFORMANCE
    """A recording of Live Link Face, .csv."""
    quick: bool = False
    """Make the avatar in seconds; less sharp."""
    width: int = 512
    """Pixels, even."""
    height: int = 512
    """Pixels, even."""


@dataclass(frozen=True)
class RunReport:
    """What run.json holds."""

    create_s: float
    input_psnr_db: float
    fps: float
    latency_p50_ms: float
    latency_p99_ms: float
    gaussians: int
    width: int
    height: int


def run(config: DemoConfig) -> RunReport:
    """All of it. Raises FlexAvatarErrors."""
    config.out.mkdir(parents=True, exist_ok=True)
    performance = read_performance(config.performance)
    store = config.out / "avatars"
    with server_process(store) as address, FlexAvatarClient(address) as client:
        with progress_bar(f"creating from {config.photo.name}") as report:
            avatar = client.create_avatar([config.photo], NAME, config.quick, True, report)
        print_now(f"{avatar.gaussians} Gaussians in {avatar.create_s:.1f} s; driving it")
        with client.start_session(avatar.name, config.width, config.height) as session:
            arrivals, start_ns = perform_live(session, performance)
    write_video(config.out / "performance.mp4", arrivals, start_ns)
    psnr_db = write_sheet(config.out / "contact_sheet.png", store / NAME, config.photo)
    outcome = make_run_report(avatar, arrivals, performance[-1].pts_ns, psnr_db)
    (config.out / "run.json").write_text(json.dumps(asdict(outcome), indent=2) + "\n")
    return outcome


def make_run_report(
    avatar: pb.Avatar, arrivals: Sequence[Arrival], duration_ns: int, psnr_db: float
) -> RunReport:
    """The run in numbers; `fps` is 0 for a single frame, which has no rate."""
    p50, p99 = np.percentile([arrival.latency_ms for arrival in arrivals], (50, 99))
    height, width, _ = arrivals[0].rgba.shape
    return RunReport(
        create_s=round(avatar.create_s, 2),
        input_psnr_db=round(psnr_db, 2),
        fps=round(len(arrivals) * NS_PER_S / duration_ns, 2) if duration_ns else 0.0,
        latency_p50_ms=round(float(p50), 2),
        latency_p99_ms=round(float(p99), 2),
        gaussians=avatar.gaussians,
        width=width,
        height=height,
    )


def write_video(path: Path, arrivals: Sequence[Arrival], start_ns: int) -> None:
    """What the client saw, at the performance's own times."""
    height, width, _ = arrivals[0].rgba.shape
    with VideoWriter(path, width, height) as video:
        for arrival in arrivals:
            video.write(arrival.rgba, arrival.pts_ns - start_ns)
    print_now(path)


def write_sheet(path: Path, folder: Path, photo: Path) -> float:
    """The stored avatar from all sides; returns how close its input view is to the photo, in dB."""
    from flexavatar.avatar.avatar import load_avatar
    from flexavatar.capture.photo import read_photo
    from flexavatar.capture.portrait import make_portrait
    from flexavatar.create.image_metrics import input_psnr_db
    from flexavatar.evaluation.contact_sheet import contact_sheet
    from flexavatar.formats.picture import to_uint8, write_picture

    avatar, portrait = load_avatar(folder), make_portrait(read_photo(photo.read_bytes()))
    write_picture(path, contact_sheet(avatar, to_uint8(portrait.rgb)))
    print_now(path)
    return input_psnr_db(avatar, portrait)


def print_now(message: object) -> None:
    """One line, at once, also into a pipe."""
    print(message, flush=True)


def main() -> None:
    """Run it and print the numbers."""
    config = tyro.cli(DemoConfig, prog="flexavatar.demo")
    try:
        outcome = run(config)
    except FlexAvatarError as error:
        sys.exit(f"error: {error}")
    for name, value in asdict(outcome).items():
        print_now(f"{name:16} {value}")


if __name__ == "__main__":
    main()
