"""A person before a camera -> signals, frame by frame, on one core.

The first two seconds calibrate: the median of the quiet half of them is this person at rest, and
what is sent afterwards is what differs from it. So a resting face is 0 whatever its brows are like,
and a camera below the screen is no raised chin. A recording is looked through first, since it may
begin with a grin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.capture import topology
from flexavatar.capture.landmarks import FaceLandmarks, detect_faces
from flexavatar.drive.face_reader import (
    NormalizedFace,
    RestFace,
    load_face_reader,
    median_rest_face,
    normalize_face,
    rotation_since_rest,
)
from flexavatar.drive.mixer import Mixer, MixerConfig, Source
from flexavatar.drive.signal import WEBCAM, HeadPose, Signal, weights_of
from flexavatar.head.arkit import ARKIT_INDEX
from flexavatar.types import NS_PER_S

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class VideoConfig:
    """How a person is followed."""

    calibrate_s: float = 2.0
    """From the first face on."""
    look_px: int = 480
    """Longest side of the surroundings of the face as they are looked at; twice that for all."""
    around: float = 2.2
    """Side of the surroundings, in the face's own."""
    hidden_turn_deg: float = 50.0
    """A face turned further shows half a mouth."""


DEFAULT_VIDEO = VideoConfig()
BUSY_SHAPES = [ARKIT_INDEX[name] for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight")]
"""What a person cannot help doing meanwhile: talking and blinking."""
NON_GAZE_SHAPES = [i for name, i in ARKIT_INDEX.items() if not name.startswith("eyeLook")]
STILL_SHARE, MIN_STILL = 0.1, 3
"""Share of a recording's pictures that show its person at rest, and their least number."""
REST_LOGIT = 3.0
"""Logit of a score of 0.05, below which a mouth is shut and an eye open."""
MIN_FACE_PX = 24.0
"""Pixels; a smaller face says nothing."""
WEBCAM_ALONE = MixerConfig((Source(WEBCAM),))


class VideoDriver:
    """Follows one person in pictures. For one thread, but for `recalibrate`."""

    def __init__(self, config: VideoConfig = DEFAULT_VIDEO) -> None:
        """Raises AssetError if the map of landmarks to weights is not installed."""
        self._config, self._reader = config, load_face_reader()
        self._face: FaceLandmarks | None = None
        self._searched = 0
        self.recalibrate()

    def recalibrate(self) -> None:
        """Learn anew how this person looks at rest. Any thread may call it.

        All that a calibration knows is in one object, and a picture is looked at with the one that
        it began with: whoever puts a new one in its place cannot take anything from under it.
        """
        self._calibration = _Calibration(self._reader.upright, self._config.calibrate_s)

    def calibrate_on(self, pictures: Iterable[Picture]) -> None:
        """Learn the face at rest from the stillest of pictures [H, W, 3] of a whole recording."""
        found = [face for rgb in pictures if (face := self._find_face(rgb)) is not None]
        if not found:
            return
        faces = [normalize_face(face, self._reader.upright) for face in found]
        stillest = np.argsort(
            [one.logits[NON_GAZE_SHAPES].clip(-REST_LOGIT).sum() for one in faces]
        )
        least = stillest[: max(MIN_STILL, round(STILL_SHARE * len(faces)))]
        self._calibration.rest = median_rest_face([faces[i] for i in least], self._reader.upright)

    @property
    def calibrated(self) -> bool:
        """Whether it is known how this person looks at rest."""
        return self._calibration.rest is not None

    @property
    def face(self) -> FaceLandmarks | None:
        """The face of the last picture, in its pixels, or None."""
        return self._face

    def push(self, rgb: Picture, pts_ns: int) -> Signal | None:
        """The signal of the next picture [H, W, 3], or None if it shows no face. Times rise."""
        self._face = self._find_face(rgb)
        if self._face is None:
            return None
        rest = self._calibration.rest_at(self._face, pts_ns)
        face = normalize_face(self._face, rest.points)
        turn = rotation_since_rest(face, rest)
        hidden = float(np.degrees(np.linalg.norm(turn)) > self._config.hidden_turn_deg)
        if not _mouth_in_picture(self._face, rgb):
            hidden = 1.0
        return Signal(
            *weights_of(self._reader.weights(face, rest)),
            head=HeadPose(turn),
            source=WEBCAM,
            pts_ns=pts_ns,
            mouth_hidden=hidden,
        )

    def _find_face(self, rgb: Picture) -> FaceLandmarks | None:
        """The face where it was, or anywhere: the widest."""
        if self._face is not None and (found := self._detect_near(rgb, self._face)) is not None:
            return found
        faces = _detect_scaled(rgb, np.zeros(2), 2 * self._config.look_px)
        if not faces:
            faces = self._detect_in_part(rgb)
        return faces[0] if faces else None

    def _detect_in_part(self, rgb: Picture) -> list[FaceLandmarks]:
        """Far faces are not seen in the whole: a part of it, another one each time."""
        height, width = rgb.shape[:2]
        side = max(min(height, width) // 2, self._config.look_px // 2)
        across, down = (range(0, max(size - side, 0) + 1, side // 2) for size in (width, height))
        places = [(left, top) for top in down for left in across]
        self._searched += 1
        left, top = places[self._searched % len(places)]
        part = rgb[top : top + side, left : left + side]
        return _detect_scaled(part, np.array((left, top)), self._config.look_px)

    def _detect_near(self, rgb: Picture, face: FaceLandmarks) -> FaceLandmarks | None:
        side = self._config.around * float(np.ptp(face.points[:, :2], axis=0).max())
        low = np.maximum(face.centre - side / 2, 0).astype(int)
        high = np.minimum(face.centre + side / 2, rgb.shape[1::-1]).astype(int)
        if (high - low).min() < MIN_FACE_PX:
            return None
        crop = rgb[low[1] : high[1], low[0] : high[0]]
        faces = _detect_scaled(crop, low, self._config.look_px)
        return min(faces, key=lambda f: float(np.linalg.norm(f.centre - face.centre)), default=None)


class _Calibration:
    """How a person looks at rest, by the faces of the first seconds."""

    def __init__(self, upright: NDArray[np.float64], lasts_s: float) -> None:
        self.rest: RestFace | None = None
        """Known for good; None before the time is over."""
        self._upright, self._lasts_s = upright, lasts_s
        self._began_ns: int | None = None
        self._seen: list[NormalizedFace] = []

    def rest_at(self, face: FaceLandmarks, pts_ns: int) -> RestFace:
        """What is known by now of the person at rest, this face included."""
        if self.rest is not None:
            return self.rest
        self._began_ns = pts_ns if self._began_ns is None else self._began_ns
        self._seen.append(normalize_face(face, self._upright))
        rest = self._of_quiet_faces()
        if pts_ns - self._began_ns >= self._lasts_s * NS_PER_S:
            self.rest = rest
        return rest

    def _of_quiet_faces(self) -> RestFace:
        """The median of the quiet quarter: lips and lids at rest, and near to each other."""
        logits = np.array([one.logits for one in self._seen])
        shut = logits[:, BUSY_SHAPES].clip(-REST_LOGIT).sum(1)
        quiet = np.argsort(shut)[: (len(shut) + 1) // 2]
        far = np.abs(logits[quiet] - np.median(logits[quiet], axis=0)).sum(1)
        nearest = quiet[np.argsort(far)[: (len(far) + 1) // 2]]
        return median_rest_face([self._seen[i] for i in nearest], self._upright)


def _detect_scaled(rgb: Picture, corner: NDArray[np.generic], longest: int) -> list[FaceLandmarks]:
    """Faces in a picture that is shrunk first, in pixels from `corner`."""
    ratio = min(1.0, longest / max(rgb.shape))
    if ratio < 1:
        small = cv2.resize(rgb, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        rgb = np.asarray(small, np.uint8)
    moved = []
    for face in detect_faces(rgb):
        points = face.points / np.float32(ratio)
        points[:, :2] += corner.astype(np.float32)
        if np.ptp(points[:, 0]) >= MIN_FACE_PX:
            moved.append(FaceLandmarks(points, face.scores))
    return moved


def _mouth_in_picture(face: FaceLandmarks, rgb: Picture) -> bool:
    """Whether the mouth is in the picture."""
    lips = face.points[[*topology.LIPS], :2]
    return bool((lips >= 0).all() and (lips < rgb.shape[1::-1]).all())


def video_performance(
    faces: Iterable[tuple[int, Signal | None]], config: MixerConfig = WEBCAM_ALONE
) -> list[Signal]:
    """The faces of a recording's pictures -> a performance, as a live session would have shown it.

    Smoothed, and idling where no face was seen; times in ns since the recording's beginning.
    `config` has the source WEBCAM.
    """
    mixer, frames = Mixer(config), []
    for pts_ns, face in faces:
        if face is not None:
            mixer.feed(face, pts_ns / NS_PER_S)
        frames.append(replace(mixer.face(pts_ns / NS_PER_S), pts_ns=pts_ns))
    return frames
