"""`flexavatar evaluate`: how good avatars are, in figures and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from flexavatar.cli.evaluate_live import EvaluateLive, EvaluateVideo
from flexavatar.cli.evaluate_options import CreationOptions, ReportOptions
from flexavatar.cli.evaluate_voice import EvaluateVoice
from flexavatar.errors import AssetError, InputError
from flexavatar.progress import part_progress, progress_bar

if TYPE_CHECKING:
    from flexavatar.evaluation.report import Item


@dataclass(frozen=True)
class EvaluateSelf(CreationOptions):
    """An avatar from a video's first frames, re-enacted over the rest, against the video."""

    videos: tyro.conf.Positional[tuple[Path, ...]]
    """Videos of one person each."""
    frames: int = 1
    """Frames of the first half that the avatar is made from; 1 takes the first."""

    def run(self) -> None:
        """Score every video."""
        from flexavatar.evaluation.published import SELF
        from flexavatar.evaluation.self_reenactment import ABOUT, evaluate_self

        items: list[Item] = []
        for video in self.videos:
            with progress_bar(f"re-enacting {video.name}") as report:
                items.append(evaluate_self(video, self.frames, self.config, report))
        self.publish("self", ABOUT, items, SELF)


@dataclass(frozen=True)
class EvaluateCross(CreationOptions):
    """One avatar a photo, driven by a video of somebody else."""

    video: tyro.conf.Positional[Path]
    """The driver."""
    photos: tyro.conf.Positional[tuple[Path, ...]]
    """One avatar is made from each."""

    def run(self) -> None:
        """Score every photo's avatar."""
        from flexavatar.evaluation.cross_reenactment import (
            ABOUT,
            EVALUATED_FRAMES,
            evaluate_cross,
            read_driving_video,
        )
        from flexavatar.evaluation.published import CROSS

        with progress_bar(f"reading {self.video.name}") as report:
            driver = read_driving_video(self.video, EVALUATED_FRAMES, report)
        items: list[Item] = []
        for photo in self.photos:
            with progress_bar(f"driving {photo.name}") as report:
                data = photo.read_bytes()
                items.append(evaluate_cross(driver, data, photo.name, self.config, report))
        self.publish("cross", ABOUT, items, CROSS)


@dataclass(frozen=True)
class EvaluateViews(CreationOptions):
    """Avatars from ever more photos of one person, against one that is held out."""

    photos: tyro.conf.Positional[tuple[Path, ...]]
    """Two or more photos of one person."""
    held: int | None = None
    """Number of the photo held out, from 1; the last if not given."""

    def run(self) -> None:
        """Score the held view."""
        from flexavatar.evaluation.held_out_views import ABOUT, evaluate_views
        from flexavatar.evaluation.published import VIEWS

        held = len(self.photos) if self.held is None else self.held
        named = 0 < held <= len(self.photos)
        name = self.photos[held - 1].name if named else f"photo {held}"
        with progress_bar(f"holding out {name}") as report:
            data = [photo.read_bytes() for photo in self.photos]
            item = evaluate_views(data, held, name, self.config, report)
        self.publish("views", ABOUT, [item], VIEWS)


@dataclass(frozen=True)
class EvaluateExpressions(CreationOptions):
    """Every ARKit shape asked of an avatar, drawn, and seen again by MediaPipe."""

    photos: tyro.conf.Positional[tuple[Path, ...]]
    """One avatar is made from each."""

    def run(self) -> None:
        """Score every photo's avatar."""
        from flexavatar.create.create import create_avatar
        from flexavatar.evaluation.expressions import ABOUT, evaluate_expressions

        items: list[Item] = []
        for photo in self.photos:
            with progress_bar(f"making {photo.name}") as report:
                avatar = create_avatar([photo.read_bytes()], self.config, report)
            with progress_bar(f"asking {photo.name}") as report:
                items.append(evaluate_expressions(avatar, photo.name, report))
        self.publish("expressions", ABOUT, items)


@dataclass(frozen=True)
class EvaluateMatte(ReportOptions):
    """Mattes of people whose alpha is known, over photographs of other things."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """One a person, with yaw+000_pitch+00.png, yaw+030_pitch+00.png and yaw-030_pitch+00.png in
    straight RGBA."""
    backgrounds: Path
    """Folder of photographs that show nobody's face."""
    each: int = 2
    """Backgrounds for each picture."""
    seed: int = 0
    """Of the choice of backgrounds."""

    def run(self) -> None:
        """Score every person."""
        from flexavatar.evaluation.matte import ABOUT, evaluate_matte, read_backgrounds

        if self.each < 1:
            raise InputError(f"each: expected at least 1, got {self.each}")
        backgrounds = read_backgrounds(self.backgrounds)
        items: list[Item] = []
        with progress_bar("matting") as report:
            for i, folder in enumerate(self.folders):
                part = part_progress(report, folder.name, i, len(self.folders))
                items.append(evaluate_matte(folder, backgrounds, self.each, self.seed, part))
        self.publish("matte", ABOUT, items)


@dataclass(frozen=True)
class EvaluateAround(CreationOptions):
    """Avatars of people whose looks from all around are known, from 1, 3 or 5 pictures."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """One a person, with pictures in straight RGBA and cameras.json."""
    photos: Literal[1, 3, 5] = 1
    """From the front; from 30 degrees to both sides as well; from 60 degrees too."""

    def run(self) -> None:
        """Score every person."""
        from flexavatar.evaluation.around import ABOUT, evaluate_around

        items: list[Item] = []
        for folder in self.folders:
            with progress_bar(f"around {folder.name}") as report:
                items.append(evaluate_around(folder, self.photos, self.config, report))
        self.publish("around", ABOUT, items)


@dataclass(frozen=True)
class EvaluateDetail(CreationOptions):
    """Avatars drawn four times as large, and their eyes with the gaze moved."""

    photos: tyro.conf.Positional[tuple[Path, ...]]
    """One avatar is made from each."""

    def run(self) -> None:
        """Score every photo's avatar."""
        from flexavatar.create.create import create_avatar
        from flexavatar.evaluation.detail import ABOUT, evaluate_detail

        items: list[Item] = []
        for photo in self.photos:
            with progress_bar(f"making {photo.name}") as report:
                avatar = create_avatar([photo.read_bytes()], self.config, report)
            with progress_bar(f"looking at {photo.name}") as report:
                items.append(evaluate_detail(avatar, photo.name, report))
        self.publish("detail", ABOUT, items)


@dataclass(frozen=True)
class EvaluatePeople(CreationOptions):
    """Avatars of synthetic people, from all around and with held-out expressions.

    Needs the package embreex: pip install "flexavatar[train]".
    """

    rig: Path
    """ICT-FaceKit's .npz, on which the people are made."""
    count: int = 8
    """How many people."""
    photos: str = "1,4"
    """An avatar is made from each of these numbers of photos."""
    seed: int = 0
    """Of the people; the same seed gives the same ones."""

    def run(self) -> None:
        """Score every person and number of photos."""
        if find_spec("embreex") is None:
            raise AssetError(
                'people: expected the package embreex: pip install "flexavatar[train]"'
            )
        from flexavatar.evaluation.people.protocol import ABOUT, PeopleConfig, evaluate_people

        config = PeopleConfig(self.count, self.seed, _parse_numbers(self.photos), self.config)
        with progress_bar("people") as report:
            items = evaluate_people(self.rig, config, report)
        self.publish("people", ABOUT, items)


@dataclass(frozen=True)
class EvaluateDataset(CreationOptions):
    """A public data set from a folder of yours: VFHQ, NeRSemble or Ava-256."""

    name: tyro.conf.Positional[Literal["vfhq", "nersemble", "ava256"]]
    """Which."""
    folder: tyro.conf.Positional[Path]
    """Where it was unpacked."""
    protocol: Literal["self", "cross", "views"] | None = None
    """Self- or cross-reenactment, or held-out cameras; if not given, what the papers report."""
    frames: int = 1
    """Frames that `self` makes each avatar from."""
    limit: int | None = None
    """No more recordings than this."""

    def run(self) -> None:
        """Score everything in the folder."""
        from flexavatar.evaluation.datasets.protocol import (
            ABOUT,
            DatasetConfig,
            evaluate_dataset,
            published_results,
        )

        config = DatasetConfig(self.protocol, self.frames, self.limit, self.config)
        with progress_bar(self.name) as report:
            items = evaluate_dataset(self.name, self.folder, config, report)
        self.publish(self.name, ABOUT, items, published_results(self.name, self.protocol))


@dataclass(frozen=True)
class Evaluate:
    """Measure how good avatars are."""

    what: tyro.conf.OmitArgPrefixes[
        Annotated[EvaluateSelf, tyro.conf.subcommand("self", prefix_name=False)]
        | Annotated[EvaluateCross, tyro.conf.subcommand("cross", prefix_name=False)]
        | Annotated[EvaluateViews, tyro.conf.subcommand("views", prefix_name=False)]
        | Annotated[EvaluateExpressions, tyro.conf.subcommand("expressions", prefix_name=False)]
        | Annotated[EvaluateMatte, tyro.conf.subcommand("matte", prefix_name=False)]
        | Annotated[EvaluateAround, tyro.conf.subcommand("around", prefix_name=False)]
        | Annotated[EvaluateDetail, tyro.conf.subcommand("detail", prefix_name=False)]
        | Annotated[EvaluatePeople, tyro.conf.subcommand("people", prefix_name=False)]
        | Annotated[EvaluateLive, tyro.conf.subcommand("live", prefix_name=False)]
        | Annotated[EvaluateVoice, tyro.conf.subcommand("voice", prefix_name=False)]
        | Annotated[EvaluateVideo, tyro.conf.subcommand("video", prefix_name=False)]
        | Annotated[EvaluateDataset, tyro.conf.subcommand("dataset", prefix_name=False)]
    ]

    def run(self) -> None:
        """Carry out the chosen protocol."""
        self.what.run()


def _parse_numbers(text: str) -> tuple[int, ...]:
    """`1,4` -> (1, 4)."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"photos: expected numbers with commas, got {text!r}") from None
