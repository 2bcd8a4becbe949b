"""Synthetic people: made, photographed, turned into avatars, and compared from all around."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from flexavatar.create.create import CreateConfig, create_avatar
from flexavatar.errors import InputError
from flexavatar.evaluation.people.person import sample_person
from flexavatar.evaluation.people.rig import IctRig, load_ict
from flexavatar.evaluation.people.score import AlignedAvatar, score_avatar
from flexavatar.evaluation.people.views import PHOTO_ANGLES, SIDE, GroundTruth, render_ground_truth
from flexavatar.evaluation.report import Item, Picture
from flexavatar.head.open_head import load_open_head
from flexavatar.progress import Progress, no_progress
from flexavatar.rigs.correspondence import Correspondence, correspondence_of
from flexavatar.rigs.load import read_rig

ABOUT = """\
Synthetic people on ICT-FaceKit's rig, which our head does not share: another mesh, identities and
expressions by other artists. They are drawn by casting rays, not splats. Avatars are made from the
pictures alone, then seen from cameras that they were not made from, and with expressions that no
photo shows; of these only the ARKit weights are given.

What this cannot say: skin, hair and eyes are painted by formulas. Real people have pores, strands,
glasses, beards and a camera's noise; figures on them are lower or higher. An avatar is laid on the
truth by the best similarity of the two faces at rest, so errors of size and pose do not count. The
two rigs' artists do not agree on what, say, jawOpen 1 is: a part of `expression` is that."""


@dataclass(frozen=True)
class PeopleConfig:
    """Which people, and from how many photos."""

    count: int = 8
    seed: int = 0
    photos: tuple[int, ...] = (1, 4)
    """An avatar is made from each of these numbers of photos."""
    create: CreateConfig = field(default_factory=CreateConfig)
    """How avatars are made."""
    side: int = SIDE
    """Of every picture, pixels."""


def evaluate_people(
    path: Path, config: PeopleConfig | None = None, progress: Progress = no_progress
) -> list[Item]:
    """One item for each person and number of photos. `path` is ICT-FaceKit's .npz.

    Raises AssetError for another file, InputError for numbers out of range.
    """
    config = config or PeopleConfig()
    _check(config)
    rig = load_ict(path)
    correspondence = correspondence_of(load_open_head(), read_rig(path))
    items: list[Item] = []
    for number in range(config.count):

        def part(what: str, share: float, number: int = number) -> None:
            progress(f"person {number + 1}: {what}", (number + share) / config.count)

        items += _one_person(rig, correspondence, config, number, part)
    return items


def _one_person(
    rig: IctRig,
    correspondence: Correspondence,
    config: PeopleConfig,
    number: int,
    progress: Progress,
) -> list[Item]:
    person = sample_person(rig, config.seed, number)
    truth = render_ground_truth(
        rig, person, max(config.photos), config.side, lambda w, s: progress(w, 0.4 * s)
    )
    share = 0.6 / len(config.photos)
    return [
        _one_avatar(
            truth, correspondence, photos, config,
            lambda w, s, i=i: progress(w, 0.4 + share * (i + s)),
        )
        for i, photos in enumerate(config.photos)
    ]  # fmt: skip


def _one_avatar(
    truth: GroundTruth,
    correspondence: Correspondence,
    photos: int,
    config: PeopleConfig,
    progress: Progress,
) -> Item:
    used = list(truth.photos[:photos])
    avatar = create_avatar(used, config.create, lambda w, s: progress(w, 0.9 * s))
    figures, pictures = score_avatar(AlignedAvatar(avatar, truth, correspondence))
    shots = [Picture(f"photo {i + 1}", photo) for i, photo in enumerate(used)]
    plural = "photo" if photos == 1 else "photos"
    return Item(f"{truth.person.name}, {photos} {plural}", figures, [*shots, *pictures])


def _check(config: PeopleConfig) -> None:
    if config.count < 1:
        raise InputError(f"count: expected at least 1, got {config.count}")
    most = len(PHOTO_ANGLES)
    if not config.photos or not all(1 <= n <= most for n in config.photos):
        raise InputError(f"photos: expected numbers from 1 to {most}, got {config.photos}")
