"""Landmarks of one or several photos -> identity, expression, gaze and camera.

Levenberg-Marquardt on 478 landmarks with whitened priors. One identity is shared by all photos;
each has its own expression, gaze and head pose; the focal length belongs to the lens. The head
stays at its origin and the camera moves around it: the fit knows nothing of the neck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.capture import topology
from flexavatar.capture.landmark_rig import Array, LandmarkRig
from flexavatar.capture.portrait import Portrait
from flexavatar.head.arkit import arkit_vector_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.flame import FlameHead
from flexavatar.types import Camera, FlameCodes

SHAPES = 52
GAZE = slice(52, 56)  # left pitch, left yaw, right pitch, right yaw
TURN = slice(56, 59)
SHIFT = slice(59, 62)
FOCAL = 62
PER_PHOTO = 63


@dataclass(frozen=True)
class TrackConfig:
    """Weights of the fit; standard deviations in the unit of what they weigh."""

    iterations: int = 25
    landmark_px: float = 1.2
    """At 512 pixels a side."""
    robust_knee: float = 5.0
    """Beyond this many deviations a landmark counts ever less."""
    depth_px: float = 5.0
    """MediaPipe's own depth; holds the profile, which a frontal photo does not show."""
    identity_weight_one: float = 4.0
    identity_weight_many: float = 30.0
    expression_std: float = 0.11
    """Around MediaPipe's scores."""
    gaze_std: float = 0.3
    """Radians around straight ahead."""
    focal_share: float = 1.8
    """Focal length over the crop's side of a photo that does not say it: most cameras stand nearly
    a metre away, and a head that is built as if from nearer is too wide behind the face."""
    focal_share_video: float = 1.17
    """The same of a video: webcams stand nearer."""
    focal_std: float = 0.2
    """Of its logarithm."""
    focal_exif_std: float = 0.05
    contour_yaw_deg: float = 25.0


@dataclass(frozen=True)
class PhotoPose:
    """Expression, gaze and camera of one photo."""

    weights: Array  # [52] ARKit weights 0..1
    gaze: Array  # [2, 2] left and right eye; pitch (down is positive), yaw (to +x), radians
    rotation: Array  # [3, 3] head to camera
    translation: Array  # [3] metres
    focal_px: float
    side: int

    @property
    def camera(self) -> Camera:
        """The photo's crop as a pinhole camera."""
        viewmat = torch.eye(4)
        viewmat[:3, :3] = torch.from_numpy(self.rotation)
        viewmat[:3, 3] = torch.from_numpy(self.translation)
        half = self.side / 2
        K = torch.tensor([[self.focal_px, 0, half], [0, self.focal_px, half], [0, 0, 1.0]])
        return Camera(viewmat, K, self.side, self.side)

    @property
    def yaw_deg(self) -> float:
        """Direction of the camera from the face, degrees, positive to the person's left."""
        facing = -self.rotation.T @ self.translation
        return float(np.degrees(np.arctan2(facing[0], facing[2])))


@dataclass(frozen=True)
class Track:
    """The person's shape, and the pose of each photo."""

    betas: Array  # [B]
    photos: tuple[PhotoPose, ...]
    rms_px: tuple[float, ...]  # per photo, at 512 pixels a side


def photo_codes(pose: PhotoPose, head: FlameHead) -> FlameCodes:
    """A tracked photo's expression and gaze as codes; the head itself stays at rest."""
    weights = torch.from_numpy(pose.weights).float()
    codes = arkit_vector_to_flame(weights, load_arkit_basis(head))
    gaze = torch.from_numpy(pose.gaze).float()
    zero = torch.zeros(2, 1)
    left, right = torch.cat((gaze, zero), 1)
    return replace(codes, leye_pose=left, reye_pose=right)


def track(
    portraits: Sequence[Portrait],
    rig: LandmarkRig,
    config: TrackConfig | None = None,
    betas: Array | None = None,
) -> Track:
    """Fit all photos at once; those of one `lens` share its focal length, in pixels of the photo.

    With `betas` given the identity is fixed.
    """
    config = config or TrackConfig()
    free = betas is None
    shape = np.zeros(rig.identity.shape[2]) if betas is None else betas.copy()
    one = len(portraits) == 1
    prior = np.full(len(shape), config.identity_weight_one if one else config.identity_weight_many)
    lenses = _lenses(portraits, config)
    slots = _slots(len(shape) * free, [lens.number for lens in lenses])
    poses = [
        _initial_pose(p, lens, rig, shape, config)
        for p, lens in zip(portraits, lenses, strict=True)
    ]

    def linearise(at: Array, of: Sequence[PhotoPose]) -> tuple[list[NormalEquations], float]:
        normals = [
            _normal_equations(p, q, lens, rig, at, config)
            for p, q, lens in zip(portraits, of, lenses, strict=True)
        ]
        return normals, sum(n.cost for n in normals) + float((prior * at**2).sum() * free)

    normals, cost = linearise(shape, poses)
    damping = 1e-3
    for _ in range(config.iterations):
        step, steps = _solve(normals, prior, prior * shape, damping, slots)
        new_shape = shape + step if free else shape
        new_poses = [apply_step(q, s) for q, s in zip(poses, steps, strict=True)]
        new_normals, new_cost = linearise(new_shape, new_poses)
        if new_cost >= cost:
            damping *= 10
            continue
        settled = cost - new_cost < 1e-4 * cost
        shape, poses, normals, cost = new_shape, new_poses, new_normals, new_cost
        damping = max(damping / 5, 1e-6)
        if settled:
            break
    rms = tuple(_rms(p, q, rig, shape) for p, q in zip(portraits, poses, strict=True))
    return Track(shape, tuple(poses), rms)


@dataclass(frozen=True)
class _Lens:
    """Expected focal length of one photo."""

    number: int  # equal for photos of one lens
    focal_px: float  # expected, in pixels of the crop
    precision: float  # of its logarithm; photos of one lens say it together, not each anew


def _lenses(portraits: Sequence[Portrait], config: TrackConfig) -> list[_Lens]:
    """One a photo; the expectations of one lens are averaged in pixels of the photo."""
    names = [p.lens or i for i, p in enumerate(portraits)]
    sides = [p.rgb.shape[0] for p in portraits]
    logs = np.log([
        (p.focal_px or (config.focal_share_video if p.lens else config.focal_share) * side)
        / p.crop_scale
        for p, side in zip(portraits, sides, strict=True)
    ])  # fmt: skip
    lenses: list[_Lens] = []
    for portrait, name in zip(portraits, names, strict=True):
        same = np.array([other == name for other in names])
        focal = portrait.crop_scale * float(np.exp(logs[same].mean()))
        std = config.focal_exif_std if portrait.focal_px else config.focal_std
        number = list(dict.fromkeys(names)).index(name)
        lenses.append(_Lens(number, focal, std**-2 / int(same.sum())))
    return lenses


def _slots(count: int, lenses: Sequence[int]) -> NDArray[np.intp]:
    """Where each photo's 63 unknowns stand behind `count` of identity: [P, 63]."""
    own = np.arange(len(lenses) * FOCAL).reshape(-1, FOCAL)
    return count + np.column_stack((own, own.size + np.asarray(lenses)))


def _initial_pose(
    portrait: Portrait, lens: _Lens, rig: LandmarkRig, betas: Array, config: TrackConfig
) -> PhotoPose:
    """Scores as expression, eyes ahead, pose from a perspective-n-point solution."""
    side = portrait.rgb.shape[0]
    focal = lens.focal_px
    weights = np.array([portrait.face.scores.get(n, 0.0) for n in rig.shape_names], np.float64)
    weights = np.clip(weights, 0, 1)
    points = rig.landmarks(betas, weights, np.zeros((2, 2)))
    K = np.array([[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]])
    use = topology.tracking_weights() >= 1
    guess = np.array([np.pi, 0.0, 0.0])
    depth = focal * np.ptp(points[:, 0]) / max(np.ptp(portrait.face.points[:, 0]), 1)
    _, rvec, tvec = cv2.solvePnP(
        points[use], portrait.face.points[use, :2].astype(np.float64), K, np.zeros(4),
        guess[:, None].copy(), np.array([[0.0], [0.0], [depth]]), True, cv2.SOLVEPNP_ITERATIVE,
    )  # fmt: skip
    rotation = np.asarray(cv2.Rodrigues(rvec)[0], np.float64)
    shift = np.asarray(tvec[:, 0], np.float64)
    return PhotoPose(weights, np.zeros((2, 2)), rotation, shift, float(focal), side)


def apply_step(pose: PhotoPose, step: Array) -> PhotoPose:
    """Apply one photo's part of a step; weights stay in 0..1."""
    return replace(
        pose,
        weights=np.clip(pose.weights + step[:SHAPES], 0, 1),
        gaze=np.clip(pose.gaze + step[GAZE].reshape(2, 2), -0.9, 0.9),
        rotation=cv2.Rodrigues(step[TURN])[0] @ pose.rotation,
        translation=pose.translation + step[SHIFT],
        focal_px=pose.focal_px * float(np.exp(np.clip(step[FOCAL], -0.3, 0.3))),
    )


def _solve(
    normals: Sequence[NormalEquations],
    prior: Array,
    gradient: Array,
    damping: float,
    slots: NDArray[np.intp],
) -> tuple[Array, list[Array]]:
    """One damped Gauss-Newton step: identity (unless no slots are left to it), each photo's own."""
    count, size = int(slots.min()), int(slots.max()) + 1
    hessian, rhs = np.zeros((size, size)), np.zeros(size)
    shape = slice(0, count)
    hessian[shape, shape] += np.diag(prior[:count])
    rhs[shape] -= gradient[:count]
    for n, own in zip(normals, slots, strict=True):
        hessian[np.ix_(own, own)] += n.hessian[-PER_PHOTO:, -PER_PHOTO:]
        rhs[own] -= n.gradient[-PER_PHOTO:]
        hessian[shape, shape] += n.hessian[:count, :count]
        hessian[shape, own] += n.hessian[:count, -PER_PHOTO:]
        hessian[own, shape] += n.hessian[-PER_PHOTO:, :count]
        rhs[shape] -= n.gradient[:count]
    hessian[np.diag_indices(size)] *= 1 + damping
    step = np.asarray(np.linalg.solve(hessian, rhs), np.float64)
    return step[:count], list(step[slots])


def landmark_normal_equations(
    portrait: Portrait,
    pose: PhotoPose,
    rig: LandmarkRig,
    betas: Array,
    config: TrackConfig | None = None,
) -> NormalEquations:
    """Normal equations of one photo by itself, linearised around `pose`."""
    config = config or TrackConfig()
    return _normal_equations(portrait, pose, _lenses([portrait], config)[0], rig, betas, config)


@dataclass(frozen=True)
class NormalEquations:
    """One photo's share of the normal equations."""

    hessian: Array  # [B + 63, B + 63]
    gradient: Array  # [B + 63]
    cost: float


def _normal_equations(
    portrait: Portrait,
    pose: PhotoPose,
    lens: _Lens,
    rig: LandmarkRig,
    betas: Array,
    config: TrackConfig,
) -> NormalEquations:
    """Linearise one photo around the present estimate; robust weights are held for the step."""
    points, jacobian = _points_and_jacobian(pose, rig, betas)
    residual, rows = _landmark_rows(portrait, pose, points, jacobian, config)
    knee = config.robust_knee
    length = np.sqrt((residual**2).sum(1))
    ease = np.where(length <= knee, 1.0, knee / np.maximum(length, 1e-9))  # Huber
    cost = float(np.where(length <= knee, length**2, 2 * knee * length - knee**2).sum())
    flat = rows.reshape(-1, rows.shape[-1])
    weighted = flat * np.repeat(ease, 3)[:, None]
    hessian, gradient = weighted.T @ flat, weighted.T @ residual.reshape(-1)
    offset, precision = _pose_prior(portrait, pose, lens, rig, config)
    own = np.arange(len(gradient) - PER_PHOTO, len(gradient))
    hessian[own, own] += precision
    gradient[own] += precision * offset
    return NormalEquations(hessian, gradient, cost + float((precision * offset**2).sum()))


def _points_and_jacobian(pose: PhotoPose, rig: LandmarkRig, betas: Array) -> tuple[Array, Array]:
    """Landmarks in the camera frame [478, 3] and their derivatives [478, 3, B + 62]."""
    points = rig.landmarks(betas, pose.weights, pose.gaze)
    gaze = np.zeros((topology.COUNT, 3, 4))
    for eye, indices in enumerate((topology.LEFT_IRIS, topology.RIGHT_IRIS)):
        for axis in range(2):
            nudged = pose.gaze.copy()
            nudged[eye, axis] += 1e-4
            moved = rig.landmarks(betas, pose.weights, nudged)[list(indices)]
            gaze[list(indices), :, 2 * eye + axis] = (moved - points[list(indices)]) / 1e-4
    turned = points @ pose.rotation.T
    local = np.concatenate((rig.identity, rig.expression, gaze), -1)
    shape = np.einsum("ab,nbk->nak", pose.rotation, local)
    turn = -_cross_matrices(turned)
    shift = np.broadcast_to(np.eye(3), turn.shape)
    return turned + pose.translation, np.concatenate((shape, turn, shift), -1)


def _cross_matrices(v: Array) -> Array:
    zero = np.zeros(len(v))
    x, y, z = v.T
    return np.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).reshape(-1, 3, 3)


def _landmark_rows(
    portrait: Portrait, pose: PhotoPose, seen: Array, jacobian: Array, config: TrackConfig
) -> tuple[Array, Array]:
    """Whitened residuals [478, 3] (x, y, depth) and rows [478, 3, B + 63] with log focal last."""
    side, focal = pose.side, pose.focal_px
    target = portrait.face.points.astype(np.float64)
    z = seen[:, 2:]
    xy = focal * seen[:, :2] / z
    middle = float(z.mean())
    depth = focal * (z[:, 0] - middle) / middle
    residual = np.empty((len(seen), 3))
    residual[:, :2] = xy + side / 2 - target[:, :2]
    residual[:, 2] = depth - (target[:, 2] - target[:, 2].mean())
    rows = np.zeros((*jacobian.shape[:2], jacobian.shape[2] + 1))
    rows[:, :2, :-1] = (
        focal / z[:, None] * (jacobian[:, :2] - (seen[:, :2] / z)[..., None] * jacobian[:, 2:])
    )
    rows[:, 2, :-1] = focal / middle * (jacobian[:, 2] - jacobian[:, 2].mean(0))
    rows[:, :2, -1] = xy
    weights = _visible_weights(pose, config)
    unit = side / 512
    scale = np.stack((weights / config.landmark_px, weights / config.landmark_px,
                      np.minimum(weights, 1) / config.depth_px), 1) / unit  # fmt: skip
    return residual * scale, rows * scale[..., None]


def _visible_weights(pose: PhotoPose, config: TrackConfig) -> Array:
    """The far contour of a turned face is a guess of the detector: it loses its say."""
    weights = topology.tracking_weights()
    turned = pose.yaw_deg
    excess = (abs(turned) - config.contour_yaw_deg) / 20
    if excess > 0:
        far = topology.RIGHT_CONTOUR if turned > 0 else topology.LEFT_CONTOUR
        weights[list(far)] *= max(0.05, 1 - excess)
    return weights


def _pose_prior(
    portrait: Portrait, pose: PhotoPose, lens: _Lens, rig: LandmarkRig, config: TrackConfig
) -> tuple[Array, Array]:
    """Offset from what is expected and its precision, [63] each; head pose is free."""
    scores = np.array([portrait.face.scores.get(n, 0.0) for n in rig.shape_names])
    offset, precision = np.zeros(PER_PHOTO), np.full(PER_PHOTO, 1e-8)
    offset[:SHAPES], precision[:SHAPES] = pose.weights - scores, config.expression_std**-2
    offset[GAZE], precision[GAZE] = pose.gaze.ravel(), config.gaze_std**-2
    offset[FOCAL], precision[FOCAL] = np.log(pose.focal_px / lens.focal_px), lens.precision
    return offset, precision


def _rms(portrait: Portrait, pose: PhotoPose, rig: LandmarkRig, betas: Array) -> float:
    """Root mean square distance of the inner landmarks, in pixels at 512 a side."""
    points = rig.landmarks(betas, pose.weights, pose.gaze) @ pose.rotation.T + pose.translation
    xy = pose.focal_px * points[:, :2] / points[:, 2:] + pose.side / 2
    inner = topology.tracking_weights() >= 1
    error = (xy - portrait.face.points[:, :2])[inner]
    return float(np.sqrt((error**2).sum(1).mean()) * 512 / pose.side)
