"""Data sets through the protocols `self`, `cross` and `views`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from flexavatar.create.create import CreateConfig
from flexavatar.errors import InputError
from flexavatar.evaluation.cross_reenactment import evaluate_cross, read_driving_video
from flexavatar.evaluation.datasets import ava256, nersemble, vfhq
from flexavatar.evaluation.datasets.recordings import FaceVideo, MultiViewFrame
from flexavatar.evaluation.held_out_views import evaluate_views
from flexavatar.evaluation.published import CROSS, SELF, VIEWS
from flexavatar.evaluation.report import Item, PublishedResult
from flexavatar.evaluation.self_reenactment import evaluate_self
from flexavatar.progress import Progress, no_progress

Protocol = Literal["self", "cross", "views"]

ABOUT = """\
A public data set, read from a folder of the user's, through the same protocols as anybody's videos
and photos: `self` makes an avatar from a recording's first frame and re-enacts the rest, `cross`
drives the avatar of each recording by the next one, `views` holds one camera out and makes avatars
from one, two and four of the others.

What differs from the papers: which frames, cameras and pairs are compared (they do not say), the
crop, and every measure but PSNR and SSIM. Their lines are drawn beside ours, not against them. The
readers follow the published layouts and were tried on small folders of that form only."""


@dataclass(frozen=True)
class Dataset:
    """How one data set is read; a protocol that it has no reader for cannot be run on it."""

    title: str
    """As the papers' lines call it."""
    default: Protocol
    face_videos: Callable[[Path], list[FaceVideo]] | None = None
    multi_view_frames: Callable[[Path], Iterator[MultiViewFrame]] | None = None


DATASETS: Mapping[str, Dataset] = {
    "vfhq": Dataset("VFHQ", "self", face_videos=vfhq.face_videos),
    "nersemble": Dataset(
        "NeRSemble",
        "self",
        face_videos=nersemble.face_videos,
        multi_view_frames=nersemble.multi_view_frames,
    ),
    "ava256": Dataset("Ava-256", "views", multi_view_frames=ava256.multi_view_frames),
}


@dataclass(frozen=True)
class DatasetConfig:
    """Protocol, and how much of the data set."""

    protocol: Protocol | None = None
    """None for the one that the papers report."""
    frames: int = 1
    """Frames that `self` makes each avatar from."""
    limit: int | None = None
    """No more videos or multi-view frames than this."""
    create: CreateConfig = field(default_factory=CreateConfig)


def evaluate_dataset(
    name: str,
    folder: Path,
    config: DatasetConfig | None = None,
    progress: Progress = no_progress,
) -> list[Item]:
    """Score a data set; what has no usable face is an item whose only figure is `refused`, 1.

    Raises InputError if nothing of it is in the folder, or it has no data for the protocol.
    """
    config = config or DatasetConfig()
    if name not in DATASETS:
        raise InputError(f"data set: expected one of {', '.join(DATASETS)}, got {name}")
    dataset = DATASETS[name]
    protocol = config.protocol or dataset.default
    items = list(_items(dataset, protocol, folder, config, progress))
    if not items:
        raise InputError(f"{folder}: expected {dataset.title} for `{protocol}`, found nothing")
    return items


def published_results(name: str, protocol: Protocol | None) -> tuple[PublishedResult, ...]:
    """The papers' lines on this data set."""
    dataset = DATASETS[name]
    lines = {"self": SELF, "cross": CROSS, "views": VIEWS}[protocol or dataset.default]
    return tuple(line for line in lines if line.source.startswith(dataset.title))


def _items(
    dataset: Dataset, protocol: Protocol, folder: Path, config: DatasetConfig, progress: Progress
) -> Iterator[Item]:
    if protocol == "views":
        if dataset.multi_view_frames is None:
            raise InputError(f"{dataset.title}: has one camera only, no `views`")
        yield from _views(islice(dataset.multi_view_frames(folder), config.limit), config, progress)
        return
    if dataset.face_videos is None:
        raise InputError(f"{dataset.title}: its readers know no videos, no `{protocol}`")
    videos = dataset.face_videos(folder)[: config.limit]
    run = _self if protocol == "self" else _cross
    yield from run(videos, config, progress)


def _views(
    frames: Iterable[MultiViewFrame], config: DatasetConfig, progress: Progress
) -> Iterator[Item]:
    for frame in frames:
        yield _item_or_refusal(
            frame.name,
            lambda f=frame: evaluate_views(
                f.photos, len(f.photos), f.name, config.create, progress
            ),
        )


def _self(videos: list[FaceVideo], config: DatasetConfig, progress: Progress) -> Iterator[Item]:
    for i, subject in enumerate(videos):
        part = _part(progress, subject.name, i, len(videos))

        def score(subject: FaceVideo = subject, part: Progress = part) -> Item:
            with subject.video() as path:
                return evaluate_self(path, config.frames, config.create, part)

        yield _item_or_refusal(subject.name, score)


def _cross(videos: list[FaceVideo], config: DatasetConfig, progress: Progress) -> Iterator[Item]:
    """Each person's first frame, driven by the next person's video."""
    for i, subject in enumerate(videos):
        driver = videos[(i + 1) % len(videos)]
        part = _part(progress, subject.name, i, len(videos))

        def score(
            subject: FaceVideo = subject, driver: FaceVideo = driver, part: Progress = part
        ) -> Item:
            with driver.video() as path:
                driving = read_driving_video(path)
            photo = subject.first_frame()
            return evaluate_cross(driving, photo, subject.name, config.create, part)

        yield _item_or_refusal(subject.name, score)


def _part(progress: Progress, name: str, done: int, total: int) -> Progress:
    return lambda what, share: progress(f"{name}: {what}", (done + share) / total)


def _item_or_refusal(name: str, score: Callable[[], Item]) -> Item:
    """The scored item under this name; only `refused` where an input was refused."""
    try:
        item = score()
    except InputError as error:
        return Item(f"{name} ({error})", {"refused": 1.0})
    return Item(
        name, {"refused": 0.0} | dict(item.figures), item.pictures, item.curves, item.tables
    )
