"""The frames of a video that say most about one head: sharp, and as different as it has them.

Up to 64 frames are looked at. Neighbours that show the face in the same place are one run, and
dlib's descriptor says which runs are the same person. Of the scene where that person is seen most,
the frame that looks ahead at rest comes first; then, again and again, the one that is furthest in
head pose and expression from all that are chosen (farthest-point sampling), sharp ones preferred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.capture.identity import face_descriptor, group_by_person
from flexavatar.capture.landmarks import (
    FaceLandmarks,
    check_width,
    detect_faces,
    level_warp,
    main_face,
    refine_face,
)
from flexavatar.capture.person import QUARTERS, human_faces, nobody
from flexavatar.capture.photo import WORKING_SIDE
from flexavatar.errors import FaceError
from flexavatar.formats.video_reader import DecodableVideo, decode_frames, probe_video
from flexavatar.progress import StageProgress, no_stage_progress

CANDIDATES = 64
ANALYSIS_SIDE = 1_280
"""Pixels of the longer side while choosing; what is chosen is read again at WORKING_SIDE."""
FRAMES = 8
"""Taken of one video, if it has so many that differ."""

FACE_SIDE = 128
"""Sharpness is measured with the face at this size."""
BLURRED_SHARE = 0.5
"""A frame with less than this of the sharpness of good ones, the upper quartile, is not taken."""
CUT_DISTANCE = 0.45
"""Hellinger distance of the colours of neighbours, above which they are different scenes."""
RIVAL_SHARE = 0.5
"""Another person who is seen this often, as a share, makes it a video of two."""
LEAST_DIFFERENCE = 0.3
"""A frame less different than this from a chosen one adds nothing; 1 is YAW_DEG."""

YAW_DEG = PITCH_DEG = 12.0
"""A turn that is worth a frame of its own."""


@dataclass(frozen=True)
class SelectedFrame:
    """A frame of a video, and the one face in it."""

    rgb: NDArray[np.uint8]  # [H, W, 3]
    face: FaceLandmarks


@dataclass(frozen=True)
class FrameCandidate:
    """A frame that shows one face, and how good it is."""

    number: int
    face: FaceLandmarks
    sharpness: float
    longest: int
    """Pixels of the longer side of the picture that `face` is measured in."""

    @property
    def traits(self) -> NDArray[np.float64]:
        """Yaw, pitch, blink, jaw, smile, pucker: [6]; a difference of 1 is worth a frame."""
        yaw, pitch = yaw_pitch_deg(self.face)
        s = self.face.scores
        smile = 0.5 * (s["mouthSmileLeft"] + s["mouthSmileRight"])
        shape = (self.face.blink / 0.5, s["jawOpen"] / 0.25, smile / 0.5, s["mouthPucker"] / 0.7)
        return np.array([yaw / YAW_DEG, pitch / PITCH_DEG, *shape])


@dataclass
class _FaceRun:
    """Neighbouring frames of one face that stays where it is."""

    scene: int
    best: FrameCandidate
    picture: NDArray[np.uint8]  # [H, W, 3] of the best
    candidates: list[FrameCandidate] = field(default_factory=list)

    def continues_with(self, face: FaceLandmarks) -> bool:
        """Whether that face can be the next of this run."""
        last = self.candidates[-1].face
        apart = float(np.linalg.norm(face.centre - last.centre))
        return apart < 0.5 * last.width and 0.7 < face.width / last.width < 1.4

    def add(self, sighting: FrameCandidate, picture: NDArray[np.uint8]) -> None:
        """The next; it becomes the best if it looks ahead more."""
        self.candidates.append(sighting)
        if sighting.face.frontal_penalty < self.best.face.frontal_penalty:
            self.best, self.picture = sighting, picture


@dataclass
class _FaceSearch:
    """What was found in the frames of a video, held in one position."""

    runs: list[_FaceRun] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    crowded: bool = False
    """Whether a frame showed several people."""

    def main_face(self, rgb: NDArray[np.uint8]) -> FaceLandmarks | None:
        """The face that a frame is about; None, and a fault, if it is not about one."""
        faces = detect_faces(rgb)
        people = human_faces(rgb, faces) if len(faces) > 1 else faces
        self.crowded |= len(people) > 1
        try:
            return check_width(main_face(people, rgb.shape))
        except FaceError as error:
            self.faults[str(error)] += 1
            return None

    def fault(self, footage: DecodableVideo) -> FaceError:
        """Why no frame can be used."""
        often = "; ".join(f"{fault} ({n} times)" for fault, n in self.faults.most_common(2))
        count = len(footage.evenly_spaced(CANDIDATES))
        return FaceError(f"no frame of {count} looked at can be used: {often}")


def select_frames(
    data: bytes, count: int = FRAMES, progress: StageProgress = no_stage_progress
) -> list[SelectedFrame]:
    """Up to `count` frames of a video file of one person, the best portrait first.

    The same bytes always give the same frames. `progress` hears 0..1. Raises ImageError for a file
    that cannot be read or is too long or large, and FaceError for a video without a face, with
    several in each frame, or of several people.
    """
    footage = probe_video(data)
    quarters, runs = _human_runs(footage, lambda share: progress(0.85 * share))
    chosen = farthest_points(_main_scene(runs), count)
    progress(0.9)
    pictures = dict(decode_frames(footage, [s.number for s in chosen], WORKING_SIDE))
    return [_selected_frame(_turned(pictures[s.number], quarters), s) for s in chosen]


def _human_runs(footage: DecodableVideo, progress: StageProgress) -> tuple[int, list[_FaceRun]]:
    """Quarter turns to the left that put a video the right way up, and the people in it then.

    FaceError as the video is, if there is nobody in any position.
    """
    fault: FaceError | None = None
    for quarters in QUARTERS:
        search = _search_faces(footage, quarters, progress)
        human = [run for run in search.runs if human_faces(run.picture, [run.best.face])]
        if human:
            return quarters, human
        own = nobody(search.runs[0].picture) if search.runs else search.fault(footage)
        fault = fault or own
        if search.crowded:
            break
    assert fault is not None
    raise fault


def _turned(rgb: NDArray[np.uint8], quarters: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.rot90(rgb, quarters))


def _selected_frame(rgb: NDArray[np.uint8], sighting: FrameCandidate) -> SelectedFrame:
    """The same frame, larger or as large, with the face found where it was."""
    ratio = max(rgb.shape) / sighting.longest
    points = sighting.face.points * np.float32(ratio)
    return SelectedFrame(rgb, refine_face(rgb, FaceLandmarks(points, sighting.face.scores)))


def farthest_points(sightings: Sequence[FrameCandidate], count: int) -> list[FrameCandidate]:
    """Farthest-point sampling: the best portrait, then what differs most from all chosen so far."""
    sharp = float(np.percentile([s.sharpness for s in sightings], 75))
    clear = [s for s in sightings if s.sharpness >= BLURRED_SHARE * sharp]
    traits = np.stack([s.traits for s in clear])  # [N, 6]
    quality = np.array([min(1.0, s.sharpness / max(sharp, 1e-9)) for s in clear])
    tilted = np.abs(traits[:, 1] - np.median(traits[:, 1]))  # people film from above or below
    awkward = np.array([s.face.frontal_penalty for s in clear])
    unlike_a_portrait = awkward + 0.3 * (tilted + traits[:, 4] + traits[:, 5]) - quality
    chosen = [int(np.argmin(unlike_a_portrait))]
    while len(chosen) < count:
        apart = np.linalg.norm(traits[:, None] - traits[None, chosen], axis=-1).min(1) * quality
        if apart.max() < LEAST_DIFFERENCE:
            break
        chosen.append(int(np.argmax(apart)))
    return [clear[i] for i in chosen]


def yaw_pitch_deg(face: FaceLandmarks) -> tuple[float, float]:
    """Yaw and pitch of a face by its own landmarks' depth, degrees; rough beyond 40."""
    level = face.warped(level_warp((0.0, 0.0), (0.0, 0.0), 1.0, face.tilt)).points
    across, down = level[454] - level[234], level[152] - level[10]
    yaw, pitch = np.arctan2(across[2], across[0]), np.arctan2(down[2], down[1])
    return float(np.degrees(yaw)), float(np.degrees(pitch))


def _search_faces(footage: DecodableVideo, quarters: int, progress: StageProgress) -> _FaceSearch:
    """Every face that has a frame to itself, in order of time."""
    numbers = footage.evenly_spaced(CANDIDATES)
    found = _FaceSearch()
    run, scene, before = None, 0, None
    for i, (number, lying) in enumerate(decode_frames(footage, numbers, ANALYSIS_SIDE), 1):
        progress(i / len(numbers))
        rgb = _turned(lying, quarters)
        colors = _histogram(rgb)
        if before is not None and _hellinger(colors, before) > CUT_DISTANCE:
            scene += 1
        before = colors
        face = found.main_face(rgb)
        if face is None:
            run = None
            continue
        sighting = FrameCandidate(number, face, _sharpness(rgb, face), max(rgb.shape))
        if run is None or run.scene != scene or not run.continues_with(face):
            run = _FaceRun(scene, sighting, rgb)
            found.runs.append(run)
        run.add(sighting, rgb)
    return found


def _main_scene(runs: Sequence[_FaceRun]) -> list[FrameCandidate]:
    """Frames of the person whom the video shows most, in the scene that shows them most."""
    people = group_by_person([face_descriptor(run.picture, run.best.face) for run in runs])
    seen: Counter[int] = Counter()
    for person, run in zip(people, runs, strict=True):
        seen[person] += len(run.candidates)
    (person, most), *others = seen.most_common()
    if others and others[0][1] >= RIVAL_SHARE * most:
        raise FaceError(
            f"expected a video of one person, got one of {len(seen)}: of {seen.total()} frames "
            f"looked at one is in {most} and another in {others[0][1]}; cut it to one of them"
        )
    scenes: Counter[int] = Counter()
    theirs = [run for who, run in zip(people, runs, strict=True) if who == person]
    for run in theirs:
        scenes[run.scene] += len(run.candidates)
    scene = scenes.most_common(1)[0][0]
    return [s for run in theirs if run.scene == scene for s in run.candidates]


def _sharpness(rgb: NDArray[np.uint8], face: FaceLandmarks) -> float:
    """Variance of the Laplacian of the face at FACE_SIDE pixels, grey levels squared."""
    low = np.maximum(face.points[:, :2].min(0).astype(int), 0)
    high = face.points[:, :2].max(0).astype(int) + 1
    crop = rgb[low[1] : high[1], low[0] : high[0]]
    if not crop.size:
        return 0.0
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (FACE_SIDE, FACE_SIDE), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_64F).var())


def _histogram(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Shares of 8 x 8 x 8 colours, [512], of every eighth pixel each way."""
    coarse = rgb[::8, ::8].astype(np.int64) >> 5
    index = (coarse[..., 0] << 6) + (coarse[..., 1] << 3) + coarse[..., 2]
    return np.bincount(index.ravel(), minlength=512) / index.size


def _hellinger(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Distance of two histograms, 0 the same to 1 nothing in common."""
    return float(np.sqrt(max(0.0, 1 - np.sqrt(one * other).sum())))
