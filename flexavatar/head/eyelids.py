"""Closes a person's eyelids over the eyeballs, by construction.

Lids turn about a horizontal axis through the eyeball's centre, so that skin keeps its distance from
the eyeball all the way. The two margins of each lid are brought onto one curve, and skin above and
below follows less and less towards brow and cheek.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from flexavatar.easing import smoothstep
from flexavatar.errors import AssetError
from flexavatar.head.flame import FlameHead

MARGINS = ("outer", "middle", "inner", "tuck")
"""Edge loops of a lid margin, from the front edge to the one hidden in the eyeball."""
HALVES = ("upper", "lower")
LOWER_LID_SHARE = -0.08
"""Share of the opening that the lower lid closes: in a blink it gives way a little."""
OVERLAP = 0.15e-3
"""Metres that each lid passes the meeting curve, so that no slit is left."""
FADE_ANGLE = {"upper": 0.6, "lower": 0.6}
"""Radians above and below the margin where skin no longer follows."""
CREASE_LOSS = 0.8
"""How much of the lid crease a closed lid loses."""
CLEARANCE = 0.45e-3
"""Metres that lid skin keeps in front of the eyeball."""
FOLD_RANGE = (0.5, 0.9)
"""Shares of the usual opening between which what an open eye shows of its lid folds away."""


@dataclass(frozen=True)
class LidMotion:
    """Motion of one eye's lids from open to closed."""

    closed: np.ndarray  # [V, 3] displacement at blink 1
    arc: np.ndarray  # [V, 3] half way: displacement less half of `closed`
    share: np.ndarray  # [V] how far each vertex follows its lid margin, 0..1


@dataclass(frozen=True)
class EyePolar:
    """Polar view of the vertices around one eyeball: height angles about its horizontal axis."""

    x: np.ndarray  # [V] metres along the axis
    angle: np.ndarray  # [V] radians above straight ahead
    reach: np.ndarray  # [V] metres from the axis
    front: np.ndarray  # [V] bool

    def rotated(self, turn: np.ndarray, stretch: np.ndarray) -> np.ndarray:
        """Positions about the centre after a turn up and a change of `reach`: [V] -> [V, 3]."""
        angle, reach = self.angle + turn, self.reach + stretch
        height, depth = reach * np.sin(angle), reach * np.cos(angle)
        return np.stack((self.x, height, depth), axis=1)


def close_lids(
    points: np.ndarray, rings: Mapping[str, np.ndarray], centre: np.ndarray, eyeball: np.ndarray
) -> LidMotion:
    """Motion of one eye's lids.

    `points` [V, 3] is a neutral head, `rings` has the lid loops of one eye ("upper_lid_outer" and
    so on, nose to temple), `centre` [3] is the eyeball's, `eyeball` [V] bool its vertices.
    """
    arms = points - centre
    eye = EyePolar(
        x=arms[:, 0],
        angle=np.arctan2(arms[:, 1], arms[:, 2]),
        reach=np.hypot(arms[:, 1], arms[:, 2]),
        front=(arms[:, 2] > 0) & ~eyeball,
    )
    bands = _skin_bands(eye, rings)
    turn = np.sum([band.turn_angles(eye) for band in bands], axis=0)
    share = np.sum([band.share(eye) for band in bands], axis=0)
    unfolded = np.sum([band.unfolding(eye) for band in bands], axis=0)
    hidden = np.zeros(len(points), dtype=bool)
    for name in MARGINS:
        upper, lower = _closing_angles(eye, rings[f"upper_lid_{name}"], rings[f"lower_lid_{name}"])
        turn[rings[f"upper_lid_{name}"]], turn[rings[f"lower_lid_{name}"]] = upper, lower
        both = np.concatenate((rings[f"upper_lid_{name}"], rings[f"lower_lid_{name}"]))
        share[both] = 1
        hidden[both] = name == "tuck"
    radius = np.linalg.norm(arms[eyeball], axis=1).mean()
    guarded = (share > 0) & ~hidden
    closed = _push_outside(eye.rotated(turn, unfolded), radius, guarded) - arms
    half = _push_outside(eye.rotated(turn / 2, unfolded / 2), radius, guarded) - arms
    moving = (share > 0)[:, None]
    return LidMotion(closed * moving, (half - closed / 2) * moving, share)


def _closing_angles(
    eye: EyePolar, upper: np.ndarray, lower: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turns that bring an upper and a lower ring onto one curve."""
    rise = np.interp(eye.x[upper], eye.x[lower], eye.angle[lower])
    fall = np.interp(eye.x[lower], eye.x[upper], eye.angle[upper])
    opening_above, opening_below = eye.angle[upper] - rise, fall - eye.angle[lower]
    past = OVERLAP / eye.reach[upper].mean()
    down = -(1 - LOWER_LID_SHARE) * opening_above - past * np.tanh(opening_above / past / 4)
    up = LOWER_LID_SHARE * opening_below + past * np.tanh(opening_below / past / 4)
    return down, up


@dataclass(frozen=True)
class SkinBand:
    """Skin on one side of a lid opening."""

    ring: np.ndarray  # the margin it hangs on
    ring_turn: np.ndarray
    beyond: np.ndarray  # [V] 0 at the margin, 1 where skin no longer follows
    chosen: np.ndarray  # [V] bool

    def turn_angles(self, eye: EyePolar) -> np.ndarray:
        """Exact at the margin, smoothed along the lid further out: [V] radians."""
        exact, soft = _turn_profiles(eye.x, eye.x[self.ring], self.ring_turn)
        near = smoothstep(self.beyond * 4)
        return self.chosen * self.falloff * (exact * (1 - near) + soft * near)

    @property
    def falloff(self) -> np.ndarray:
        """1 at the margin, 0 where skin no longer follows: [V]."""
        return (1 - self.beyond) ** 2 * (1 + self.beyond)

    def share(self, eye: EyePolar) -> np.ndarray:
        """How far skin follows the margin, less past the corners: [V]."""
        first, last = eye.x[self.ring[0]], eye.x[self.ring[-1]]
        aside = np.maximum(first - eye.x, eye.x - last)
        return self.chosen * self.falloff * (1 - smoothstep(aside / 0.006))

    def unfolding(self, eye: EyePolar) -> np.ndarray:
        """Change of `reach` that takes the crease out of a closed lid: [V] metres."""
        far = self.chosen & (self.beyond > 0.6)
        spread = np.exp(-0.5 * ((eye.x[:, None] - eye.x[far]) / 0.003) ** 2)
        rim = (spread * eye.reach[far]).sum(1) / np.maximum(spread.sum(1), 1e-9)
        margin = np.interp(eye.x, eye.x[self.ring], eye.reach[self.ring])
        smooth = margin + (rim - margin) * smoothstep(self.beyond / 0.8)
        closing = np.interp(eye.x, eye.x[self.ring], np.abs(self.ring_turn), left=0, right=0)
        amount = (
            CREASE_LOSS
            * np.clip(closing / 0.3, 0, 1)
            * smoothstep(4 * self.beyond * (1 - self.beyond))
        )
        return self.chosen * amount * (smooth - eye.reach)


def _skin_bands(eye: EyePolar, rings: Mapping[str, np.ndarray]) -> list[SkinBand]:
    """The skin above and below the margins."""
    bands = []
    upper, lower = rings["upper_lid_outer"], rings["lower_lid_outer"]
    turns = _closing_angles(eye, upper, lower)
    for half, ring, turn, sign in (("upper", upper, turns[0], 1), ("lower", lower, turns[1], -1)):
        edge = np.interp(eye.x, eye.x[ring], eye.angle[ring])
        beyond = sign * (eye.angle - edge) / FADE_ANGLE[half]
        chosen = eye.front & (beyond > 0) & (beyond < 1)
        bands.append(SkinBand(ring, turn, np.clip(beyond, 0, 1), chosen))
    return bands


def _turn_profiles(
    x: np.ndarray, ring_x: np.ndarray, turn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A margin's turn at each x, as it is and smoothed along the lid."""
    grid = np.linspace(ring_x[0] - 0.015, ring_x[-1] + 0.015, 240)
    values = np.interp(grid, ring_x, turn, left=0, right=0)
    width = 0.0025 / (grid[1] - grid[0])
    kernel = np.exp(-0.5 * (np.arange(-40, 41) / width) ** 2)
    soft = np.convolve(values, kernel / kernel.sum(), mode="same")
    exact = np.interp(x, ring_x, turn, left=0, right=0)
    return exact, np.interp(x, grid, soft, left=0, right=0)


def _push_outside(arms: np.ndarray, radius: float, guarded: np.ndarray) -> np.ndarray:
    """Push guarded points out of the eyeball and its clearance: [V, 3]."""
    distance = np.linalg.norm(arms, axis=1)
    short = guarded & (distance < radius + CLEARANCE)
    scale = np.where(short, (radius + CLEARANCE) / np.maximum(distance, 1e-9), 1)
    return arms * scale[:, None]


def push_outside_sphere(
    points: np.ndarray, chosen: np.ndarray, centre: np.ndarray, radius: float
) -> np.ndarray:
    """Push the chosen points [V] bool out of a sphere and its clearance: [V, 3] -> [V, 3]."""
    return centre + _push_outside(points - centre, radius, chosen)


def eye_rings(rings: Mapping[str, np.ndarray], side: str) -> dict[str, np.ndarray]:
    """The lid loops of one eye, "left" or "right", nose to temple."""
    prefix = f"{side}_"
    return {k.removeprefix(prefix): r for k, r in rings.items() if k.startswith(prefix)}


def close_both_eyes(
    points: np.ndarray, rings: Mapping[str, np.ndarray], centres: np.ndarray, eyeballs: np.ndarray
) -> tuple[LidMotion, LidMotion]:
    """`close_lids` of the left and the right eye: [V, 3], rings of the rig, [2, 3], [2, V] bool."""
    flip = np.array([-1.0, 1, 1])
    left = close_lids(points, eye_rings(rings, "left"), centres[0], eyeballs[0])
    right = close_lids(points * flip, eye_rings(rings, "right"), centres[1] * flip, eyeballs[1])
    return left, LidMotion(right.closed * flip, right.arc * flip, right.share)


def middle_rings(head: FlameHead) -> tuple[Tensor, ...]:
    """Vertex ids mid-lid: upper and lower of the left eye, upper and lower of the right."""
    rings = []
    for side in ("left", "right"):
        quarter = len(head.rings[f"{side}_upper_lid_middle"]) // 4
        rings += [head.rings[f"{side}_{half}_lid_middle"][quarter:-quarter] for half in HALVES]
    return tuple(rings)


def eyelid_openings(head: FlameHead, vertices: Tensor) -> Tensor:
    """Distance between the lids of the left, the right eye, mid-lid: [..., V, 3] -> [..., 2] m."""
    upper_left, lower_left, upper_right, lower_right = (
        vertices[..., ring, :].mean(-2) for ring in middle_rings(head)
    )
    return torch.stack((upper_left - lower_left, upper_right - lower_right), -2).norm(dim=-1)


def eyelid_visibility(openings: Tensor, usual: Tensor) -> Tensor:
    """Visible share of crease and lashes, which fold away as an eye closes: 0..1, [..., 2] each.

    `openings` now, `usual` at rest, metres.
    """
    return smoothstep(openings / usual.clamp_min(1e-4), *FOLD_RANGE)


def fit_eyelids(head: FlameHead, neutral: Tensor) -> FlameHead:
    """The rig with eyelids that close exactly on this person: neutral [V, 3].

    The rig's own lids are made for its template; on another face they would stop short or pass
    each other. AssetError if the rig has no lid rings.
    """
    if "left_upper_lid_outer" not in head.rings:
        raise AssetError("this rig has no lid rings: its own eyelids must do")
    points = neutral.detach().cpu().double().numpy()
    rings = {name: ring.cpu().numpy() for name, ring in head.rings.items()}
    centres = head.joints(neutral).detach().cpu().double().numpy()[3:]
    eyeballs = np.stack([head.masks[n].cpu().numpy() > 0.5 for n in ("leye", "reye")])
    motions = close_both_eyes(points, rings, centres, eyeballs)
    closed, arcs = (
        torch.from_numpy(np.stack([getattr(m, name) for m in motions], axis=-1)).to(head.template)
        for name in ("closed", "arc")
    )
    return replace(head, eyelids=closed, lid_arcs=arcs)


def lid_arcs(head: FlameHead) -> Tensor:
    """Bulge of half-closed lids, so that they slide over the eyeball: [V, 3, 2] metres.

    On a straight way from open to closed a lid would cut through the ball; half way it is pushed
    out to the mean of its distances at both ends.
    """
    centres = head.joints(head.template)[3:]  # [2, 3]
    arms = head.template[:, None] - centres  # [V, 2, 3]
    moves = head.eyelids.transpose(1, 2)
    half = arms + moves / 2
    distance = half.norm(dim=-1)
    wanted = (arms.norm(dim=-1) + (arms + moves).norm(dim=-1)) / 2
    push = (wanted - distance).clamp_min(0) * (moves.norm(dim=-1) > 1e-5)
    return (half / distance.clamp_min(1e-6)[..., None] * push[..., None]).transpose(1, 2)
