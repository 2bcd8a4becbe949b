"""Compiled posing and deformation: they agree with torch, and rigid moves stay rigid."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor

from flexavatar.errors import InputError, ShapeError
from flexavatar.head import mesh_operators
from flexavatar.head.binding import (
    Binding,
    LocalSplats,
    deform,
    quat_multiply,
    quat_to_matrix,
    surface_motion,
    vertex_normals,
)
from flexavatar.render import native
from flexavatar.render.deform import Deformer, Skinner
from tests.surfaces import random_binding, random_splats, sphere

COUNT = 1003  # not a multiple of the vector width
VERTICES, FACES = sphere(20, 15)
QUAT = torch.nn.functional.normalize(torch.tensor([-0.2, 0.9, 0.3, 0.4]), dim=0)


def posed_mesh() -> Tensor:
    """Stretched, rippled, turned and moved."""
    bent = VERTICES * torch.tensor([1.3, 0.8, 1.0]) + 0.01 * torch.sin(40 * VERTICES[:, [1, 2, 0]])
    return bent @ quat_to_matrix(QUAT).T + 0.02


def expected(vertices: Tensor, binding: Binding, splats: LocalSplats) -> tuple[Tensor, ...]:
    """The same by head.binding in float64."""
    motion = surface_motion(VERTICES.double(), vertices.double(), FACES)
    wide = LocalSplats(*(x.double() for x in vars(splats).values()))
    return deform(Binding(binding.vertex_ids, binding.bary.double()), wide, motion)


@pytest.fixture(params=["compiled", "torch"])
def deformer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Deformer:
    """Of the test mesh, with the library and without."""
    if request.param == "torch":
        monkeypatch.setattr(native, "library", lambda: None)
    elif native.library() is None:
        pytest.skip("needs the compiled library, and there is no C++ compiler")
    return Deformer(VERTICES, FACES, random_binding(FACES, COUNT), random_splats(COUNT))


def assert_same_splats(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> None:
    """To float32 rounding over the few dozen operations of each: metres, and unit quaternions."""
    for x, y, tolerance in zip(ours, theirs, (1e-7, 2e-6, 1e-7), strict=True):
        torch.testing.assert_close(x.double(), y.double(), rtol=0, atol=tolerance)


def test_vertex_normals_of_a_sphere_point_along_its_radii() -> None:
    lonely = torch.cat((VERTICES, torch.ones(1, 3)))  # a vertex of no face
    normals = vertex_normals(lonely.double(), FACES)
    inner = slice(20, len(VERTICES) - 20)  # the outermost rings have faces on one side alone
    radii = torch.nn.functional.normalize(VERTICES.double()[inner], dim=-1)
    along = (normals[inner] * radii).sum(1)
    assert along.abs().min() > 0.99  # cosine: 20 x 15 vertices are a coarse sphere
    assert len(along.sign().unique()) == 1
    assert normals[-1].eq(0).all()
    arrays = mesh_operators.vertex_normals(lonely.double().numpy(), FACES.numpy())
    torch.testing.assert_close(torch.from_numpy(arrays), normals, rtol=0, atol=0)


def test_vertex_normals_gradient() -> None:
    vertices, faces = sphere(5, 4)
    vertices = vertices.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: vertex_normals(v, faces), (vertices,))


def test_agrees_with_binding(deformer: Deformer) -> None:
    ours = deformer.deform(posed_mesh())
    assert_same_splats(ours, expected(posed_mesh(), deformer.binding, deformer.splats))


def test_neutral_changes_nothing(deformer: Deformer) -> None:
    means, quats, scales = deformer.deform(VERTICES)
    at = (VERTICES[deformer.binding.vertex_ids] * deformer.binding.bary[..., None]).sum(1)
    unit = torch.nn.functional.normalize(deformer.splats.quats, dim=-1)
    assert_same_splats(
        (means, quats, scales), (at + deformer.splats.offsets, unit, deformer.splats.scales)
    )


def test_rigid_motion_turns_everything_alike(deformer: Deformer) -> None:
    turn, shift = quat_to_matrix(QUAT), torch.tensor([0.1, -0.2, 0.05])
    rest = [x.clone() for x in deformer.deform(VERTICES)]
    means, quats, scales = deformer.deform(VERTICES @ turn.T + shift)
    turned = quat_multiply(QUAT.expand(COUNT, 4), rest[1])
    sides = torch.where((turned * quats).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    assert_same_splats((means, quats * sides, scales), (rest[0] @ turn.T + shift, turned, rest[2]))


def test_folded_and_broken_meshes_stay_finite(deformer: Deformer) -> None:
    for vertices in (VERTICES * torch.tensor([1.0, 1, 0]), torch.zeros_like(VERTICES), -VERTICES):
        assert all(x.isfinite().all() for x in deformer.deform(vertices))


def test_slivers_and_lonely_vertices(deformer: Deformer) -> None:
    """A face without area has no say, and a vertex without faces does not turn."""
    vertices = torch.cat((VERTICES, torch.tensor([[0.0, 0.2, 0], [0, 0.2, 0], [0, 0.3, 0]])))
    last = len(VERTICES)
    faces = torch.cat((FACES, torch.tensor([[last, last + 1, 0]])))
    binding = Binding(torch.tensor([[last, last + 1, last + 2]]), torch.tensor([[0.2, 0.3, 0.5]]))
    splats = random_splats(1)
    ours = Deformer(vertices, faces, binding, splats).deform(vertices + 0.01)
    motion = surface_motion(vertices, vertices + 0.01, faces)
    assert_same_splats(ours, deform(binding, splats, motion))


def test_wrong_inputs_are_refused(deformer: Deformer) -> None:
    with pytest.raises(ShapeError, match="vertices"):
        deformer.deform(VERTICES[1:])
    with pytest.raises(InputError, match="binding"):
        Deformer(VERTICES[:50], FACES % 50, deformer.binding, deformer.splats)
    with pytest.raises(ShapeError, match="offsets"):
        Deformer(VERTICES, FACES, deformer.binding, random_splats(3))


def test_threads_have_their_own_results(deformer: Deformer) -> None:
    meshes = [VERTICES * (1 + 0.1 * i) for i in range(4)]
    right = [[x.clone() for x in deformer.deform(mesh)] for mesh in meshes]
    wrong: list[int] = []

    def deform_often(index: int) -> None:
        for _ in range(20):
            found = deformer.deform(meshes[index])
            if not all(torch.equal(a, b) for a, b in zip(found, right[index], strict=True)):
                wrong.append(index)

    workers = [threading.Thread(target=deform_often, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.fixture(params=["compiled", "torch"])
def skinning(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Skinner:
    """Twelve shapes and five joints on the test mesh, with the library and without."""
    if request.param == "torch":
        monkeypatch.setattr(native, "library", lambda: None)
    elif native.library() is None:
        pytest.skip("needs the compiled library, and there is no C++ compiler")
    torch.manual_seed(1)
    weights = torch.softmax(torch.randn(len(VERTICES), 5), -1)
    return Skinner(VERTICES, 0.01 * torch.randn(12, len(VERTICES), 3), weights)


def test_skinner_agrees_with_einsum(skinning: Skinner) -> None:
    torch.manual_seed(1)
    weights = torch.softmax(torch.randn(len(VERTICES), 5), -1).double()
    basis = (0.01 * torch.randn(12, len(VERTICES), 3)).double()
    coefficients = torch.randn(12)
    coefficients[[2, 7]] = 0
    transforms = torch.eye(4) + 0.1 * torch.randn(5, 4, 4)
    shaped = VERTICES.double() + torch.einsum("k,kva->va", coefficients.double(), basis)
    blended = torch.einsum("vj,jab->vab", weights, transforms.double())
    theirs = torch.einsum("vab,vb->va", blended[:, :3, :3], shaped) + blended[:, :3, 3]
    # float32 rounding of numbers below 1.
    ours = skinning.pose(coefficients, transforms).double()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_skinner_at_rest(skinning: Skinner) -> None:
    posed = skinning.pose(torch.zeros(12), torch.eye(4).repeat(5, 1, 1))
    torch.testing.assert_close(posed, VERTICES, rtol=0, atol=1e-7)  # weights sum to 1 +- rounding


def test_skinner_refuses_wrong_shapes(skinning: Skinner) -> None:
    with pytest.raises(ShapeError, match="coefficients"):
        skinning.pose(torch.zeros(11), torch.eye(4).repeat(5, 1, 1))
    with pytest.raises(ShapeError, match="transforms"):
        skinning.pose(torch.zeros(12), torch.eye(4).repeat(4, 1, 1))
