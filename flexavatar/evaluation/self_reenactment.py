"""Self-reenactment: an avatar from part of a video, driven through the rest, against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flexavatar.capture.cropped_frame import CroppedFrame, crop_frames, crop_to_crop
from flexavatar.capture.landmarks import find_face
from flexavatar.create.create import CreateConfig
from flexavatar.errors import FaceError, InputError
from flexavatar.evaluation.compare import (
    ERROR_GAIN,
    error_picture,
    frame_figures,
    head_psnr,
    landmark_similarity,
    side_by_side,
    warp_on_grey,
)
from flexavatar.evaluation.figures import total_figures
from flexavatar.evaluation.report import Item, Picture
from flexavatar.evaluation.temporal import RUN_FRAMES, DrawnFrame, temporal_figures
from flexavatar.evaluation.tracked_avatar import (
    DrivingPose,
    TrackedAvatar,
    align_to,
    create_from_portraits,
    draw,
)
from flexavatar.formats.picture import to_uint8
from flexavatar.formats.video_reader import count_frames, evenly_spaced
from flexavatar.progress import Progress, no_progress
from flexavatar.render.composite import RgbImage

ABOUT = """An avatar from the first frame of a video, or from some of its first half, driven by our
tracker (identity held) through 40 evenly spaced frames of the rest, each pose then aligned with the
picture, and compared with them at the portrait's 512 pixels over mid grey. Head: the person's matte
above the chin. Face hull: the convex hull of the landmarks. Two baselines know no 3D: the first
frame copied, and the first frame moved by the best 2D similarity.

Motion is judged on a second of consecutive frames: trembling of landmarks, and error of the optical
flow. The perceptual distance is HaarPSI's: no learned weights for LPIPS come with this package."""
MOST_FRAMES = 128
"""That an avatar is made from here: more than `create` takes, to see what more would bring."""
EVALUATED_FRAMES = 40
"""Frames compared, evenly spaced."""
PICTURED_FRAMES = 8


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
    sources = [frame for _, frame in crop_frames(video, used) if frame is not None]
    if not sources:
        raise FaceError(f"expected a face in the frames {used} of {video.name}, found none")
    avatar = create_from_portraits(
        [source.portrait for source in sources],
        config,
        lambda what, share: progress(what, 0.6 * share),
    )
    compared = evenly_spaced(start, count - 1, EVALUATED_FRAMES)
    first = max(start, (start + count - RUN_FRAMES) // 2)
    run = range(first, min(first + RUN_FRAMES, count))
    return _score_frames(
        video, compared, run, avatar, sources[0],
        lambda what, share: progress(what, 0.6 + 0.4 * share),
    )  # fmt: skip


def _score_frames(
    video: Path,
    compared: Sequence[int],
    run: range,
    avatar: TrackedAvatar,
    source: CroppedFrame,
    progress: Progress,
) -> Item:
    """Figures of the `compared` frames, pictures of some, and the motion in `run`.

    The run, consecutive frames from the middle, ends before its first frame without a face. Raises
    FaceError if no compared frame has one.
    """
    rows: list[dict[str, float]] = []
    shots: list[Picture] = []
    drawn: list[DrawnFrame] = []
    pictured = {compared[i] for i in evenly_spaced(0, len(compared) - 1, PICTURED_FRAMES)}
    numbers = sorted({*compared, *run})
    for n, (number, frame) in enumerate(crop_frames(video, numbers)):
        if frame is not None:
            driving = align_to(frame.portrait, avatar)
            shown = draw(avatar, driving)
            if number in compared:
                rows.append(_frame_figures(frame, shown, driving, avatar, source))
            if number in pictured:
                shots.append(_frame_picture(number, frame, shown, source, rows[-1]))
            if number in run[len(drawn) : len(drawn) + 1]:
                face = find_face(to_uint8(shown))
                drawn += [] if face is None else [DrawnFrame(frame, shown, face)]
        progress(f"frame {number}", (n + 1) / len(numbers))
    if not rows:
        raise FaceError(f"expected a face in the video, found none in {len(compared)} frames")
    return Item(video.name, total_figures(rows) | temporal_figures(drawn), shots)


def _frame_figures(
    frame: CroppedFrame,
    shown: RgbImage,
    driving: DrivingPose,
    avatar: TrackedAvatar,
    source: CroppedFrame,
) -> dict[str, float]:
    """All figures of one frame, and those of the two baselines."""
    copied = warp_on_grey(crop_to_crop(source, frame), source)
    warped = warp_on_grey(landmark_similarity(source, frame), source)
    return frame_figures(shown, frame, avatar, driving) | {
        "copy_psnr": head_psnr(copied, frame),
        "warp_psnr": head_psnr(warped, frame),
    }


def _frame_picture(
    number: int,
    frame: CroppedFrame,
    shown: RgbImage,
    source: CroppedFrame,
    figures: Mapping[str, float],
) -> Picture:
    """Truth, avatar, warp and error side by side."""
    warped = warp_on_grey(landmark_similarity(source, frame), source)
    caption = (
        f"frame {number}: truth, avatar ({figures['head_psnr']:.1f} dB), 2D warp of the first "
        f"({figures['warp_psnr']:.1f} dB), error of the avatar {ERROR_GAIN:g} times brighter"
    )
    return side_by_side(caption, (frame.on_grey, shown, warped, error_picture(shown, frame)))
