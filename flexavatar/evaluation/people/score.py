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
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.capture.landmarks import find_face
from flexavatar.evaluation.avatar_renderer import AvatarRenderer
from flexavatar.evaluation.compare import (
    identity_distance,
    landmark_distance_px,
    region_figures,
    side_by_side,
)
from flexavatar.evaluation.figures import mean_figures
from flexavatar.evaluation.people.views import GroundTruth, TrueView
from flexavatar.evaluation.report import Picture
from flexavatar.formats.picture import to_uint8
from flexavatar.head.mesh_operators import vertex_normals
from flexavatar.head.surface import Similarity, camera_in_source_space, fit_similarity
from flexavatar.render.composite import RgbImage, premultiplied_over_mid_grey, rasterize_over_grey
from flexavatar.rigs.correspondence import Correspondence

MARGIN_SHARE = 0.025
"""Of the picture's side: how far around the true head what sticks out counts as an error."""
FRONTAL = ("front", "expression")
"""Groups in which a face can be found."""


@dataclass(frozen=True)
class Alignment:
    """From the avatar's space to the true person's."""

    similarity: Similarity
    face_mm: float
    """Mean distance of the face's surfaces, along their normals."""


class AlignedAvatar:
    """An avatar laid on the person from whose photos it was made."""

    def __init__(
        self, avatar: AnyAvatar, truth: GroundTruth, correspondence: Correspondence
    ) -> None:
        self.renderer, self.truth = AvatarRenderer.of(avatar), truth
        self.correspondence = correspondence

    @cached_property
    def alignment(self) -> Alignment:
        """The best similarity of the resting faces."""
        head = self.renderer.animator.head
        own = self.renderer.animator.vertices(self.renderer.codes({})).double().numpy()
        there = self.correspondence.matrix_b() @ self.truth.skin
        weights = self.correspondence.trust_b * head.masks["face"].double().numpy()
        similarity = fit_similarity(own, there, weights)
        normals = vertex_normals(own, head.faces.numpy()) @ similarity.rotation.T
        apart = np.abs(((similarity.apply(own) - there) * normals).sum(1))
        return Alignment(similarity, 1000 * float((apart * weights).sum() / weights.sum()))

    def draw(self, view: TrueView) -> RgbImage:
        """The avatar as the true camera sees it, over mid grey."""
        gaussians = self.renderer.animator.animate(self.renderer.codes(view.weights))
        return rasterize_over_grey(
            gaussians, camera_in_source_space(self.alignment.similarity, view.camera)
        )


def score_avatar(avatar: AlignedAvatar) -> tuple[dict[str, float], list[Picture]]:
    """Figures over groups of views, and truth beside avatar."""
    rows: dict[str, list[Mapping[str, float]]] = {}
    pictures: list[Picture] = []
    for view in avatar.truth.views:
        shown = avatar.draw(view)
        figures = view_figures(shown, view)
        rows.setdefault(view.group, []).append(figures)
        caption = f"{view.name}: truth, avatar ({figures['head_psnr']:.1f} dB)"
        pictures.append(side_by_side(caption, (true_picture(view), shown)))
    return _group_figures(rows) | {"face_mm": avatar.alignment.face_mm}, pictures


def _group_figures(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """Means of all views; PSNR and SSIM of each group as well; likeness from the front alone."""
    every = mean_figures([row for group in rows.values() for row in group])
    total = {name: every[name] for name in ("head_psnr", "head_ssim", "akd_px")}
    total["identity_distance"] = rows["front"][0]["identity_distance"]
    for group, members in rows.items():
        mean = mean_figures(members)
        total |= {f"{group}_{name}": mean[f"head_{name}"] for name in ("psnr", "ssim")}
    return total


def view_figures(shown: RgbImage, view: TrueView) -> dict[str, float]:
    """Figures of one drawn picture [S, S, 3] in 0..1 over mid grey."""
    truth, region = true_picture(view), head_region(view)
    figures = region_figures(shown, truth, {"head": region})
    return figures | (_face_figures(shown, view) if view.group in FRONTAL else {})


def _face_figures(shown: RgbImage, view: TrueView) -> dict[str, float]:
    """Distances of landmarks and identity; NaN where no face is found."""
    drawn, true = find_face(to_uint8(shown)), find_face(view.shot.rgb)
    if drawn is None or true is None:
        return {"akd_px": math.nan, "identity_distance": math.nan}
    return {
        "akd_px": landmark_distance_px(drawn, true) * 512 / view.camera.width,
        "identity_distance": identity_distance(to_uint8(shown), drawn, view.shot.rgb, true),
    }


def true_picture(view: TrueView) -> RgbImage:
    """The person without the wall, over mid grey."""
    return premultiplied_over_mid_grey(view.shot.color, view.shot.cover)


def head_region(view: TrueView) -> NDArray[np.bool_]:
    """The true head, and the empty rim around it where an avatar's head may stick out."""
    reach = 2 * round(MARGIN_SHARE * view.camera.width) + 1
    near = cv2.dilate(view.shot.head.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    return view.shot.head | (near & (view.shot.cover < 0.05))
