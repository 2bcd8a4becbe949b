"""An avatar against the person whom it was made from, from all around.

Nothing tells where the avatar's head is in the truth's space: its face at rest is laid on the
truth's by the similarity (size, turn, shift) that fits best over the surface correspondence of the
two rigs, and cameras go along.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.capture.cropped_frame import find_face
from flexavatar.capture.identity import face_descriptor
from flexavatar.create.fit import ssim_map
from flexavatar.create.likeness import psnr_db
from flexavatar.evaluation.compare import landmark_distance_px, strip
from flexavatar.evaluation.figures import mean_figures
from flexavatar.evaluation.people.views import Truth, View
from flexavatar.evaluation.report import Picture
from flexavatar.evaluation.sheet import Stage
from flexavatar.formats.picture import to_uint8
from flexavatar.head.mesh_tools import vertex_normals
from flexavatar.head.surface import Similarity, camera_in_source_space, fit_similarity
from flexavatar.render.backdrop import RgbImage, premultiplied_over_mid_grey, rasterize_over_grey
from flexavatar.rigs.correspondence import Correspondence

MARGIN_SHARE = 0.025
"""Of the picture's side: how far around the true head what sticks out counts as an error."""
FRONTAL = ("front", "expression")
"""Groups in which a face can be found."""


@dataclass(frozen=True)
class Fit:
    """Where the avatar's space lies in the truth's."""

    place: Similarity
    face_mm: float
    """Mean distance of the face's surfaces, along their normals."""


class Contest:
    """One avatar on the truth's stage."""

    def __init__(self, avatar: AnyAvatar, truth: Truth, found: Correspondence) -> None:
        self.stage, self.truth, self.found = Stage.of(avatar), truth, found

    @cached_property
    def fit(self) -> Fit:
        """Best similarity of the resting faces."""
        head = self.stage.animator.head
        own = self.stage.animator.vertices(self.stage.codes({})).double().numpy()
        there = self.found.matrix_b() @ self.truth.skin
        weights = self.found.trust_b * head.masks["face"].double().numpy()
        place = fit_similarity(own, there, weights)
        normals = vertex_normals(own, head.faces.numpy()) @ place.rotation.T
        apart = np.abs(((place.apply(own) - there) * normals).sum(1))
        return Fit(place, 1000 * float((apart * weights).sum() / weights.sum()))

    def draw(self, view: View) -> RgbImage:
        """The avatar as the true camera sees it, over mid grey."""
        gaussians = self.stage.animator.animate(self.stage.codes(view.weights))
        return rasterize_over_grey(gaussians, camera_in_source_space(self.fit.place, view.camera))


def score(contest: Contest) -> tuple[dict[str, float], list[Picture]]:
    """Figures over groups of views, and truth beside avatar."""
    rows: dict[str, list[Mapping[str, float]]] = {}
    pictures: list[Picture] = []
    for view in contest.truth.views:
        shown = contest.draw(view)
        figures = view_figures(shown, view)
        rows.setdefault(view.group, []).append(figures)
        caption = f"{view.name}: truth, avatar ({figures['head_psnr']:.1f} dB)"
        pictures.append(strip(caption, (true_picture(view), shown)))
    return _by_group(rows) | {"face_mm": contest.fit.face_mm}, pictures


def _by_group(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """Means of all views; PSNR and SSIM of each group as well; likeness from the front alone."""
    every = mean_figures([row for group in rows.values() for row in group])
    total = {name: every[name] for name in ("head_psnr", "head_ssim", "akd_px")}
    total["identity_distance"] = rows["front"][0]["identity_distance"]
    for group, members in rows.items():
        mean = mean_figures(members)
        total |= {f"{group}_{name}": mean[f"head_{name}"] for name in ("psnr", "ssim")}
    return total


def view_figures(shown: RgbImage, view: View) -> dict[str, float]:
    """Of one drawn picture [S, S, 3] in 0..1 over mid grey."""
    truth, region = true_picture(view), head_region(view)
    alike = ssim_map(torch.from_numpy(shown), torch.from_numpy(truth)).mean(-1).numpy()
    figures = {
        "head_psnr": psnr_db(shown[region], truth[region]),
        "head_ssim": float(alike[region].mean()),
    }
    return figures | (_face_figures(shown, view) if view.group in FRONTAL else {})


def _face_figures(shown: RgbImage, view: View) -> dict[str, float]:
    """Landmarks and likeness; NaN where no face is found."""
    drawn, true = find_face(shown), find_face(np.asarray(view.shot.rgb / 255, np.float32))
    if drawn is None or true is None:
        return {"akd_px": math.nan, "identity_distance": math.nan}
    apart = face_descriptor(to_uint8(shown), drawn) - face_descriptor(view.shot.rgb, true)
    return {
        "akd_px": landmark_distance_px(drawn, true) * 512 / view.camera.width,
        "identity_distance": float(np.linalg.norm(apart)),
    }


def true_picture(view: View) -> RgbImage:
    """The person without the wall, over mid grey."""
    return premultiplied_over_mid_grey(view.shot.color, view.shot.cover)


def head_region(view: View) -> NDArray[np.bool_]:
    """The true head, and the empty rim around it where an avatar's head may stick out."""
    reach = 2 * round(MARGIN_SHARE * view.camera.width) + 1
    near = cv2.dilate(view.shot.head.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    return view.shot.head | (near & (view.shot.cover < 0.05))
