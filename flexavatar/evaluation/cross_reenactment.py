"""Cross-reenactment: an avatar of one person driven by a video of another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from flexavatar.capture.cropped_frame import crop_frames, crop_photo
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.landmarks import find_face
from flexavatar.capture.photo import read_photo
from flexavatar.capture.track import PhotoPose, track
from flexavatar.create.create import CreateConfig
from flexavatar.errors import FaceError
from flexavatar.evaluation.compare import face_figures, side_by_side
from flexavatar.evaluation.figures import total_figures
from flexavatar.evaluation.report import Item, Picture
from flexavatar.evaluation.self_reenactment import EVALUATED_FRAMES, PICTURED_FRAMES
from flexavatar.evaluation.tracked_avatar import (
    DrivingPose,
    TrackedAvatar,
    create_from_sources,
    draw,
    driving_pose,
    track_pose,
)
from flexavatar.formats.picture import to_uint8
from flexavatar.formats.video_reader import count_frames, evenly_spaced
from flexavatar.progress import Progress, no_progress
from flexavatar.render.composite import RgbImage

ABOUT = """An avatar of each photo, driven by the same video: expression, gaze and head rotation are
those that the tracker sees in the driver, whose identity is held and not passed on. They are
taken as they are and not as changes from the driver's first frame: so what is asked is known in
every frame and nothing depends on what the driver did first, at the price that a driver whose brows
sit high at rest lifts those of the avatar. Distance and framing stay the photo's.

There is no true picture to compare with. Likeness is measured against the photo, expression and
pose against what was asked, by the same tracker, now in the drawn avatar."""


@dataclass(frozen=True)
class DrivingVideo:
    """Frames of a person, and their tracked poses."""

    numbers: tuple[int, ...]
    pictures: tuple[RgbImage, ...]
    """For the report only, [S, S, 3]."""
    poses: tuple[PhotoPose, ...]


def read_driving_video(
    video: Path, frames: int = EVALUATED_FRAMES, progress: Progress = no_progress
) -> DrivingVideo:
    """Track evenly spaced frames, with the identity found in the first one that has a face.

    Raises FaceError if no frame has a face.
    """
    wanted = evenly_spaced(0, count_frames(video) - 1, frames)
    numbers: list[int] = []
    pictures: list[RgbImage] = []
    poses: list[PhotoPose] = []
    betas = None
    for n, (number, frame) in enumerate(crop_frames(video, wanted)):
        progress(f"driver's frame {number}", (n + 1) / len(wanted))
        if frame is None:
            continue
        if betas is None:
            betas = track([frame.portrait], load_landmark_rig()).betas
        numbers.append(number)
        pictures.append(frame.on_grey)
        poses.append(track_pose(frame.portrait, betas))
    if not poses:
        raise FaceError(f"expected a face in {video.name}, found none in {len(wanted)} frames")
    return DrivingVideo(tuple(numbers), tuple(pictures), tuple(poses))


def evaluate_cross(
    driver: DrivingVideo,
    photo: bytes,
    name: str,
    config: CreateConfig | None = None,
    progress: Progress = no_progress,
) -> Item:
    """Score the avatar of one photo over all frames of a driving video."""
    portrait = crop_photo(read_photo(photo)).portrait
    avatar = create_from_sources([photo], config, lambda what, share: progress(what, 0.7 * share))
    own = track_pose(portrait, avatar.betas)
    rows: list[dict[str, float]] = []
    pictures: list[Picture] = []
    pictured = set(evenly_spaced(0, len(driver.poses) - 1, PICTURED_FRAMES))
    for n, (number, pose) in enumerate(zip(driver.numbers, driver.poses, strict=True)):
        driving = transfer_pose(pose, own, avatar)
        shown = draw(avatar, driving)
        rows.append(face_figures(shown, find_face(to_uint8(shown)), portrait, avatar, driving))
        if n in pictured:
            likeness = rows[-1]["identity_distance"]
            caption = f"frame {number}: driver, avatar (identity distance {likeness:.2f}), photo"
            pictures.append(side_by_side(caption, (driver.pictures[n], shown, portrait.rgb)))
        progress(f"frame {number}", 0.7 + 0.3 * (n + 1) / len(driver.poses))
    return Item(name, total_figures(rows), pictures)


def transfer_pose(driver: PhotoPose, own: PhotoPose, avatar: TrackedAvatar) -> DrivingPose:
    """The driver's expression, gaze and rotation in the photo's own framing."""
    pose = replace(own, weights=driver.weights, gaze=driver.gaze, rotation=driver.rotation)
    return driving_pose(pose, avatar)
