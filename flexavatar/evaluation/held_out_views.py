"""A held-out photo against avatars from ever more of the others."""

from __future__ import annotations

from collections.abc import Sequence

from flexavatar.capture.cropped_frame import CroppedFrame, crop_photo
from flexavatar.capture.photo import read_photo
from flexavatar.create.create import CreateConfig
from flexavatar.errors import InputError
from flexavatar.evaluation.compare import (
    ERROR_GAIN,
    error_picture,
    frame_figures,
    head_psnr,
    landmark_similarity,
    side_by_side,
    warp_on_grey,
)
from flexavatar.evaluation.report import Item, Picture
from flexavatar.evaluation.tracked_avatar import align_to, create_from_sources, draw
from flexavatar.progress import Progress, no_progress

ABOUT = """Photos of one person: one is held out, and avatars are made from 1, 2, 4 and more of the
others, in the order given, up to all of them. Each is tracked in the held photo with its
identity fixed, aligned with that picture, drawn in its view and compared with it. The figures are
those of the avatar from the most photos; the curves show how more photos help. The baseline is the
first photo, moved by the best 2D similarity."""
CURVES = ("head_psnr", "hull_psnr", "identity_distance", "akd_px")


def evaluate_views(
    photos: Sequence[bytes],
    held: int,
    name: str,
    config: CreateConfig | None = None,
    progress: Progress = no_progress,
) -> Item:
    """Score avatars from the other photos against photo number `held`, counted from 1.

    Raises InputError for fewer than two photos or a number that is none of theirs.
    """
    if len(photos) < 2:
        raise InputError(f"photos: expected 2 or more, got {len(photos)}")
    if not 1 <= held <= len(photos):
        raise InputError(f"held: expected a photo's number, 1 to {len(photos)}, got {held}")
    kept = [photo for number, photo in enumerate(photos, 1) if number != held]
    truth, first = crop_photo(read_photo(photos[held - 1])), crop_photo(read_photo(kept[0]))
    warped = warp_on_grey(landmark_similarity(first, truth), first)
    baseline = {"warp_psnr": head_psnr(warped, truth)}
    rows: list[dict[str, float]] = []
    pictures = [side_by_side("held photo, 2D warp of the first photo", (truth.on_grey, warped))]
    counts = doubling_counts(len(kept))
    for n, count in enumerate(counts):

        def part(what: str, share: float, n: int = n, count: int = count) -> None:
            progress(f"from {count}: {what}", (n + share) / len(counts))

        figures, picture = _evaluate_avatar(kept[:count], truth, config, part)
        rows.append({"photos": float(count)} | figures)
        pictures.append(picture)
    gain = {"gain_db": rows[-1]["head_psnr"] - rows[0]["head_psnr"]}
    curves = {f"{key} over photos": [(r["photos"], r[key]) for r in rows] for key in CURVES}
    return Item(name, rows[-1] | baseline | gain, pictures, curves, {"counts": rows})


def doubling_counts(most: int) -> list[int]:
    """1, 2, 4 and so on, and at last all."""
    return [*(2**k for k in range(most.bit_length()) if 2**k < most), most]


def _evaluate_avatar(
    photos: Sequence[bytes],
    truth: CroppedFrame,
    config: CreateConfig | None,
    progress: Progress,
) -> tuple[dict[str, float], Picture]:
    """Figures and picture of one avatar in the held view."""
    avatar = create_from_sources(photos, config, progress)
    driving = align_to(truth.portrait, avatar)
    shown = draw(avatar, driving)
    figures = frame_figures(shown, truth, avatar, driving)
    psnr = figures["head_psnr"]
    caption = f"avatar from {len(photos)} ({psnr:.1f} dB), its error {ERROR_GAIN:g} times brighter"
    return figures, side_by_side(caption, (shown, error_picture(shown, truth)))
