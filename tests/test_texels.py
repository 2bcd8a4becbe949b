"""The open head's chart: no overlap, no gaps, fine where it matters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from flexavatar.errors import ShapeError
from flexavatar.head.binding import quat_to_matrix
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import ChartTexels, chart_texels, position_map, texel_frames

SIZE = 256


@pytest.fixture(scope="module")
def head() -> FlameHead:
    return load_open_head()


@pytest.fixture(scope="module")
def texels(head: FlameHead) -> ChartTexels:
    return chart_texels(head, SIZE)


def chart_areas(head: FlameHead) -> Tensor:
    a, b, c = (head.uvs[head.uv_faces[:, i]].double() for i in range(3))
    one, two = b - a, c - a
    return (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2


def surface_points(head: FlameHead, texels: ChartTexels) -> Tensor:
    binding = texels.binding
    return (head.template[binding.vertex_ids] * binding.bary[..., None]).sum(1)


def test_no_face_is_folded_or_covers_another(head: FlameHead) -> None:
    areas = chart_areas(head)
    assert (areas > 0).all()
    assert areas.sum() <= 1
    points = (torch.rand(3_000, 2, dtype=torch.float64) * 255).floor() + 0.37
    hits = torch.zeros(len(points), dtype=torch.int64)
    corners = head.uvs[head.uv_faces].double() * 255
    for block in corners.split(2000):
        hits += _inside(block, points).sum(0)
    assert hits.max() <= 1


def _inside(triangles: Tensor, points: Tensor) -> Tensor:
    """[F, 3, 2], [P, 2] -> [F, P] bool."""
    inside = torch.ones(len(triangles), len(points), dtype=torch.bool)
    for i in range(3):
        a, b = triangles[:, i, None], triangles[:, (i + 1) % 3, None]
        side, arm = b - a, points - a
        inside &= side[..., 0] * arm[..., 1] - side[..., 1] * arm[..., 0] > 1e-9
    return inside


def test_enough_texels_and_finest_on_the_face(head: FlameHead, texels: ChartTexels) -> None:
    assert len(texels) >= 38_000
    assert texels.valid.sum() == len(texels)
    spacing = texel_frames(head, head.template, texels).spacing.prod(-1).sqrt()
    typical = {}
    for name in ("face", "lids", "lips", "scalp", "neck", "shoulders"):
        weight = (head.masks[name][texels.binding.vertex_ids] * texels.binding.bary).sum(1)
        typical[name] = float(spacing[weight > 0.9].median())
    assert typical["lids"] < 1.2e-3
    assert typical["face"] < 1.3e-3
    assert typical["face"] < typical["scalp"] < typical["shoulders"]
    assert typical["lips"] < typical["scalp"] / 1.5


def test_chart_is_mirror_symmetric(head: FlameHead, texels: ChartTexels) -> None:
    assert torch.equal(texels.valid, texels.valid.flip(1))
    picture = position_map(head, head.template, SIZE)
    flipped = picture.flip(2) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    wrong = (picture - flipped).norm(dim=0) > 1e-5  # texel centres on an edge may pick either face
    assert wrong.float().mean() < 2e-3


def test_every_surface_point_is_near_a_texel(head: FlameHead, texels: ChartTexels) -> None:
    corners = head.template[head.faces]
    areas = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(
        dim=-1
    )
    faces = torch.multinomial(areas, 6000, replacement=True)
    weights = torch.distributions.Dirichlet(torch.ones(3)).sample((6000,))
    points = (corners[faces] * weights[..., None]).sum(1)
    centres = surface_points(head, texels)
    spacing = texel_frames(head, head.template, texels).spacing.amax(-1)
    near = [torch.cdist(p, centres).min(1) for p in points.split(500)]
    distance = torch.cat([n.values for n in near]) / spacing[torch.cat([n.indices for n in near])]
    # deep in the mouth a few triangles are stretched along a seam; all that shows is covered
    assert (distance > 1).float().mean() < 2e-3
    visible = (head.masks["cavity"][head.faces[faces]] < 0.5).all(1)
    assert (distance[visible] > 1).float().mean() < 5e-4


@pytest.mark.parametrize("size", [48, 128])
def test_position_map_holds_the_surface(head: FlameHead, size: int) -> None:
    texels = chart_texels(head, size)
    picture = position_map(head, head.template, size)
    assert picture.shape == (3, size, size)
    torch.testing.assert_close(picture[:, texels.rows, texels.cols].T, surface_points(head, texels))
    assert (picture[:, ~texels.valid] == 0).all()
    with pytest.raises(ShapeError):
        position_map(head, head.template[:-1], size)


def test_upright(head: FlameHead) -> None:
    """The forehead is above the chin, and the character's left is at the right."""
    picture = position_map(head, head.template, SIZE)
    assert picture[1, 40, 128] > picture[1, 190, 128]
    assert picture[0, 100, 160] > 0.02


def test_frames_are_tangent(head: FlameHead, texels: ChartTexels) -> None:
    frames = texel_frames(head, head.template, texels)
    axes = quat_to_matrix(frames.quats)
    corners = head.template[texels.binding.vertex_ids]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    agree = (torch.nn.functional.normalize(normal, dim=-1) * axes[..., 2]).sum(-1)
    assert agree.median() > 0.99
    face = (head.masks["face"][texels.binding.vertex_ids] > 0.9).all(1)
    assert (agree[face] > 0).float().mean() > 0.995  # smooth frames differ in the nostrils
    step = frames.spacing[face]
    assert step.min() > 1e-4
    assert step.max() < 6e-3


def test_position_map_gradient(head: FlameHead) -> None:
    vertices = head.template.clone().requires_grad_()
    position_map(head, vertices, 32).sum().backward()
    count = len(chart_texels(head, 32))
    assert vertices.grad is not None
    # every texel hands on weights that sum to one, per coordinate
    torch.testing.assert_close(
        vertices.grad.sum(0), torch.full((3,), float(count)), rtol=1e-4, atol=0
    )
