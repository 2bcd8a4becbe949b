"""A tracked pose, corrected until the drawn avatar lies on the picture.

Landmarks are a pixel or two off, each time a little differently; the whole picture says where the
head really is. Gauss-Newton over expression, gaze and pose with derivatives by finite differences
of the drawing, which is cheap, and the landmarks as the prior. The lens stays as it was tracked:
photos of one lens share it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAnimator
from flexavatar.capture import topology
from flexavatar.capture.landmark_rig import LandmarkRig
from flexavatar.capture.portrait import Portrait
from flexavatar.capture.track import (
    FOCAL,
    GAZE,
    PER_PHOTO,
    SHAPES,
    SHIFT,
    TURN,
    NormalEquations,
    PhotoPose,
    apply_step,
    landmark_normal_equations,
    photo_codes,
)
from flexavatar.render.camera import resize_camera
from flexavatar.render.composite import RgbImage, over_mid_grey, rasterize_over_grey

Array = NDArray[np.float64]
PoseRenderer = Callable[[PhotoPose, int], RgbImage]
"""(pose, pixels a side) -> the person over mid grey."""

RIGID = tuple(range(TURN.start, SHIFT.stop))
EVERYTHING = tuple(range(FOCAL))
BELOW_CHIN = 0.04
"""Of the portrait's side."""


@dataclass(frozen=True)
class AlignConfig:
    """Weights and effort."""

    side: int = 256
    """Pixels a side of the pictures compared, which are shrunk from the portrait's."""
    error: float = 0.15
    """Standard deviation of a colour; beyond it a pixel counts ever less."""
    landmarks: float = 0.3
    """Weight of the landmarks' own fit."""
    off_face: float = 0.6
    """Weight of hair and neck, where the face has 1."""
    rigid_steps: int = 4
    steps: int = 2
    """Of everything, after those of the head's place alone."""


def align(
    portrait: Portrait,
    pose: PhotoPose,
    rig: LandmarkRig,
    betas: Array,
    draw: PoseRenderer,
    config: AlignConfig | None = None,
) -> PhotoPose:
    """The pose near `pose` in which `draw` comes nearest to the portrait; betas [B] are held."""
    config = config or AlignConfig()
    search = _Search(portrait, rig, betas, draw, config)
    near = search.descend(pose, RIGID, config.rigid_steps)
    return search.descend(near, EVERYTHING, config.steps)


def pose_renderer(animator: AnyAnimator) -> PoseRenderer:
    """The avatar as it looks in a tracked pose."""

    def draw(pose: PhotoPose, side: int) -> RgbImage:
        gaussians = animator.animate(photo_codes(pose, animator.head))
        return rasterize_over_grey(gaussians, resize_camera(pose.camera, side, side))

    return draw


class _Search:
    """One portrait's cost and its descent."""

    def __init__(
        self,
        portrait: Portrait,
        rig: LandmarkRig,
        betas: Array,
        draw: PoseRenderer,
        config: AlignConfig,
    ) -> None:
        self.portrait, self.rig, self.betas, self.config = portrait, rig, betas, config
        # as large as the portrait: drawn small, splats blur otherwise than a picture that shrinks
        self.draw = lambda pose: _shrink(draw(pose, len(portrait.rgb)), config.side)
        self.wanted = _shrink(over_mid_grey(portrait.rgb, portrait.matte), config.side)
        self.weight = _pixel_weights(portrait, config)[..., None]

    def descend(self, pose: PhotoPose, over: Sequence[int], steps: int) -> PhotoPose:
        """Damped Gauss-Newton: the picture moves some of the numbers, landmarks all of them."""
        shown = self.draw(pose)
        cost, prior = self._cost(pose, shown)
        damping = 1e-3
        for _ in range(steps):
            hessian, gradient = self._normal_equations(pose, shown, prior, over)
            while True:
                damped = hessian.copy()
                damped[np.diag_indices(FOCAL)] *= 1 + damping
                step = np.append(-np.linalg.solve(damped, gradient), 0.0)  # the lens stays
                new_pose = apply_step(pose, step)
                new_shown = self.draw(new_pose)
                new_cost, new_prior = self._cost(new_pose, new_shown)
                if new_cost < cost:
                    break
                damping *= 10
                if damping > 10:
                    return pose
            pose, shown, cost, prior = new_pose, new_shown, new_cost, new_prior
            damping = max(damping / 5, 1e-5)
        return pose

    def _cost(self, pose: PhotoPose, shown: RgbImage) -> tuple[float, NormalEquations]:
        """Huber's cost of the picture and the landmarks' normal equations."""
        length = np.abs(shown - self.wanted) / self.config.error
        eased = np.where(length < 1, length**2, 2 * length - 1)
        prior = landmark_normal_equations(self.portrait, pose, self.rig, self.betas)
        picture = float((self.weight * eased).sum())
        return picture + self.config.landmarks * prior.cost, prior

    def _normal_equations(
        self, pose: PhotoPose, shown: RgbImage, prior: NormalEquations, over: Sequence[int]
    ) -> tuple[Array, Array]:
        """Hessian [62, 62] and gradient [62]; what is not searched only has its prior."""
        rows = np.stack([self._derivative(pose, shown, k) for k in over])
        error = (shown - self.wanted).ravel()
        length = np.abs(error) / self.config.error
        weight = np.broadcast_to(self.weight, shown.shape).ravel()
        weight = weight / (np.maximum(length, 1) * self.config.error**2)
        weighted = rows * weight.astype(np.float32)
        own = slice(-PER_PHOTO, -1)  # of the photo, without its focal length
        hessian = self.config.landmarks * prior.hessian[own, own]
        gradient = self.config.landmarks * prior.gradient[own]
        chosen = np.asarray(over)
        hessian[np.ix_(chosen, chosen)] += weighted @ rows.T
        gradient[chosen] += weighted @ error
        return hessian, gradient

    def _derivative(self, pose: PhotoPose, shown: RgbImage, k: int) -> NDArray[np.float32]:
        """Of the picture with respect to one number of the pose: [3 S S]."""
        step = np.zeros(PER_PHOTO)
        step[k] = _NUDGES[k]
        if k < SHAPES and pose.weights[k] + step[k] > 1:
            step[k] *= -1
        change = (self.draw(apply_step(pose, step)) - shown) / np.float32(step[k])
        return np.asarray(change, np.float32).ravel()


def _nudges() -> Array:
    """Steps of the finite differences, large enough to change the picture."""
    nudges = np.full(PER_PHOTO, 0.02)
    nudges[:SHAPES] = 0.08
    nudges[GAZE], nudges[TURN], nudges[SHIFT] = 0.03, 0.006, 0.001  # radians, radians, metres
    return nudges


_NUDGES = _nudges()


def _shrink(picture: RgbImage, side: int) -> RgbImage:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _pixel_weights(portrait: Portrait, config: AlignConfig) -> NDArray[np.float32]:
    """The head with a margin, down to just below the chin; the face counts most: [S, S]."""
    side = config.side
    shrink = side / portrait.matte.shape[0]
    person = _shrink(portrait.matte, side) > 0.3
    near = cv2.dilate(person.astype(np.uint8), np.ones((9, 9))) > 0
    chin = portrait.face.points[topology.CHIN, 1] * shrink + BELOW_CHIN * side
    above = np.arange(side)[:, None] < chin
    known = _shrink(portrait.inside.astype(np.float32), side) > 0.99
    face = cv2.GaussianBlur(_shrink(portrait.face_hull.astype(np.float32), side), (0, 0), side / 40)
    weight = config.off_face + (1 - config.off_face) * np.asarray(face, np.float32)
    return np.asarray(weight * (near & above & known), np.float32)
