"""Self-reenactment: an avatar from part of a video, driven through the rest, against the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flexavatar.capture.cropped_frame import Sight, crop_to_crop, find_face, see_frames
from flexavatar.create.create import CreateConfig
from flexavatar.errors import FaceError, InputError
from flexavatar.evaluation.codes import Actor, actor_of, draw, follow
from flexavatar.evaluation.compare import (
    ERROR_GAIN,
    baseline_psnr,
    compare,
    error_of,
    moved_by,
    similarity,
    strip,
)
from flexavatar.evaluation.figures import total_figures
from flexavatar.evaluation.report import Item, Picture
from flexavatar.evaluation.temporal import RUN, Instant, temporal_figures
from flexavatar.formats.video import count_frames, evenly_spaced
from flexavatar.progress import Progress, no_progress

ABOUT = """An avatar from the first frame of a video, or from some of its first half, driven by our
tracker (identity held) through 40 evenly spaced frames of the rest, each pose then aligned with the
picture, and compared with them at the portrait's 512 pixels over mid grey. Head: the person's matte
above the chin. Face hull: the convex hull of the landmarks. Two baselines know no 3D: the first
frame copied, and the first frame moved by the best 2D similarity.

Motion is judged on a second of consecutive frames: trembling of landmarks, and error of the optical
flow. The perceptual distance is HaarPSI's: no learned weights for LPIPS come with this package."""
MOST_FRAMES = 128
"""That an avatar is made from here: more than `create` takes, to see what more would bring."""
EVALUATED = 40
"""Frames compared, evenly spaced."""
PICTURED = 8


def evaluate_self(
    video: Path,
    frames: int = 1,
    config: CreateConfig | None = None,
    progress: Progress = no_progress,
) -> Item:
    """Score one video; the avatar is made from `frames` frames of its first half.

    With one frame that is the first, and all others are compared; with more, the second half is.
    """
    count = count_frames(video)
    half = count // 2
    most = min(max(half, 1), MOST_FRAMES)
    if not 1 <= frames <= most:
        raise InputError(f"frames: expected 1 to {most}, at most half the video, got {frames}")
    used = [0] if frames == 1 else evenly_spaced(0, half - 1, frames)
    start = 1 if frames == 1 else half
    sources = [sight for _, sight in see_frames(video, used) if sight is not None]
    if not sources:
        raise FaceError(f"expected a face in the frames {used} of {video.name}, found none")
    actor = actor_of(
        [source.portrait for source in sources],
        config,
        lambda what, share: progress(what, 0.6 * share),
    )
    asked = evenly_spaced(start, count - 1, EVALUATED)
    rows, shots = _compared(
        see_frames(video, asked), len(asked), actor, sources[0],
        lambda what, share: progress(what, 0.6 + 0.3 * share),
    )  # fmt: skip
    run = _run(video, actor, start, count, lambda what, share: progress(what, 0.9 + 0.1 * share))
    return Item(video.name, total_figures(rows) | temporal_figures(run), shots)


def _compared(
    seen: Iterator[tuple[int, Sight | None]],
    count: int,
    actor: Actor,
    source: Sight,
    progress: Progress,
) -> tuple[list[dict[str, float]], list[Picture]]:
    """Figures of every frame and pictures of some. Raises FaceError if no frame has a face."""
    rows: list[dict[str, float]] = []
    shots: list[Picture] = []
    pictured = set(evenly_spaced(0, count - 1, PICTURED))
    for n, (number, sight) in enumerate(seen):
        if sight is not None:
            figures, shot = _frame(number, sight, actor, source)
            rows.append(figures)
            shots += [shot] if n in pictured else []
        progress(f"frame {number}", (n + 1) / count)
    if not rows:
        raise FaceError(f"expected a face in the video, found none in {count} frames")
    return rows, shots


def _frame(
    number: int, sight: Sight, actor: Actor, source: Sight
) -> tuple[dict[str, float], Picture]:
    """All figures of one frame, and truth, avatar, warp and error as a picture."""
    drive = follow(sight.portrait, actor)
    shown = draw(actor, drive.codes, drive.camera)
    copied = moved_by(crop_to_crop(source, sight), source)
    warped = moved_by(similarity(source, sight), source)
    figures = compare(shown, sight, actor, drive) | {
        "copy_psnr": baseline_psnr(copied, sight),
        "warp_psnr": baseline_psnr(warped, sight),
    }
    caption = (
        f"frame {number}: truth, avatar ({figures['head_psnr']:.1f} dB), 2D warp of the first "
        f"({figures['warp_psnr']:.1f} dB), error of the avatar {ERROR_GAIN:g} times brighter"
    )
    return figures, strip(caption, (sight.truth, shown, warped, error_of(shown, sight)))


def _run(video: Path, actor: Actor, start: int, count: int, progress: Progress) -> list[Instant]:
    """Consecutive frames from the middle of the compared part, up to the first without a face."""
    first = max(start, (start + count - RUN) // 2)
    numbers = range(first, min(first + RUN, count))
    run: list[Instant] = []
    for number, sight in see_frames(video, numbers):
        progress(f"motion, frame {number}", len(run) / len(numbers))
        if sight is None:
            break
        drive = follow(sight.portrait, actor)
        shown = draw(actor, drive.codes, drive.camera)
        face = find_face(shown)
        if face is None:
            break
        run.append(Instant(sight, shown, face))
    return run
