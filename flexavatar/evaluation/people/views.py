"""Cameras and expressions of the protocol, and the ground truth drawn for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flexavatar.drive.expressions import BROWS_UP, GAZE_LEFT, both
from flexavatar.evaluation.contact_sheet import SMILE
from flexavatar.evaluation.people.paint import Painter
from flexavatar.evaluation.people.person import Person
from flexavatar.evaluation.people.person_mesh import PersonModel
from flexavatar.evaluation.people.ray_tracer import RayTracedShot, Scene
from flexavatar.evaluation.people.rig import Array, IctRig
from flexavatar.progress import Progress, no_progress
from flexavatar.render import camera as cameras
from flexavatar.types import Camera

TARGET = np.array((0.0, 0.005, 0.02))
"""Metres; what cameras look at: the middle of the head."""
SIDE = 512
FOCAL_SHARE = 2.6
"""Focal length over the picture's side, at 1 m; the head fills the same part from elsewhere."""

PHOTO_ANGLES = (
    (0, 0), (35, 0), (-35, 0), (0, -18), (20, 12), (-20, 12), (50, 0), (-50, 0),
)  # fmt: skip
"""Yaw and pitch in degrees from which the first, second, ... photo is taken, before jitter."""
JITTER_DEG = 5.0

HELD_OUT_ANGLES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "front": {"front": (0, 0)},
    "side": {"yaw +30": (30, 0), "yaw -30": (-30, 0), "yaw +60": (60, 0), "yaw -60": (-60, 0)},
    "profile": {"yaw +90": (90, 0), "yaw -90": (-90, 0)},
    "back": {"yaw +135": (135, 0), "back": (180, 0)},
    "tilt": {"from above": (0, 25), "from below": (0, -25)},
}
"""Group -> view -> yaw (to the person's left) and pitch (up) of the camera."""

HELD_OUT_FACES: Mapping[str, Mapping[str, float]] = {
    "smile": SMILE,
    "jaw open": {"jawOpen": 0.6},
    "blink": both("eyeBlink"),
    "gaze left": GAZE_LEFT,
    "brows up": BROWS_UP,
    "pucker": {"mouthPucker": 1.0},
}
"""Name -> ARKit weights, seen from the front."""


@dataclass(frozen=True)
class TrueView:
    """One true picture that an avatar is compared with."""

    name: str
    group: str
    camera: Camera
    weights: Mapping[str, float]
    shot: RayTracedShot


@dataclass(frozen=True)
class GroundTruth:
    """One person's photos, and true pictures from all around."""

    person: Person
    photos: tuple[NDArray[np.uint8], ...]  # [S, S, 3] each
    views: tuple[TrueView, ...]
    skin: Array  # [V, 3] ICT's vertices at rest, metres


def render_ground_truth(
    rig: IctRig,
    person: Person,
    photos: int,
    side: int = SIDE,
    progress: Progress = no_progress,
) -> GroundTruth:
    """Draw the photos, then all held-out views and expressions."""
    model, painter = PersonModel(rig, person), Painter(rig, person.appearance)

    def scene(weights: Mapping[str, float]) -> Scene:
        return Scene(model.mesh(weights), painter, person)

    progress("photographing", 0.0)
    posing = scene(person.mood)
    taken = tuple(posing.render(camera).rgb for camera in photo_cameras(person, photos, side))
    rest = scene({})
    views: list[TrueView] = []
    for group, angles in HELD_OUT_ANGLES.items():
        for name, (yaw, pitch) in angles.items():
            camera = look_from(yaw, pitch, side)
            views.append(TrueView(name, group, camera, {}, rest.render(camera)))
            progress(name, 0.2 + 0.05 * len(views))
    front = look_from(0, 0, side)
    for name, weights in HELD_OUT_FACES.items():
        views.append(TrueView(name, "expression", front, weights, scene(weights).render(front)))
        progress(name, 0.2 + 0.05 * len(views))
    return GroundTruth(person, taken, tuple(views), model.skin({}))


def photo_cameras(person: Person, count: int, side: int = SIDE) -> list[Camera]:
    """Cameras of a person's photos, each jittered by the person's seed."""
    rng = np.random.default_rng(person.appearance.seed)
    cameras: list[Camera] = []
    for yaw, pitch in PHOTO_ANGLES[:count]:
        jitter = rng.uniform(-JITTER_DEG, JITTER_DEG, 3)
        distance = float(rng.uniform(0.7, 1.4))
        cameras.append(
            look_from(yaw + jitter[0], pitch + jitter[1], side, distance, float(jitter[2]) / 2)
        )
    return cameras


def look_from(
    yaw_deg: float, pitch_deg: float, side: int, distance: float = 1.0, roll_deg: float = 0.0
) -> Camera:
    """A camera that looks at the head; yaw goes to the person's left, pitch up."""
    return cameras.look_from(yaw_deg, pitch_deg, side, TARGET, 1 / FOCAL_SHARE, distance, roll_deg)
