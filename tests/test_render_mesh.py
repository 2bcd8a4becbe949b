"""The z-buffer of meshes: the compiled one agrees with numpy, and both with the geometry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from flexavatar.bench.gaussians import front_camera
from flexavatar.errors import InputError, ShapeError
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.render import native
from flexavatar.render.camera import look_from, orbit, project, resize_camera
from flexavatar.render.mesh import NEAR, MeshView, render_mesh
from flexavatar.render.reference import pixel_centres
from flexavatar.types import Camera
from tests.surfaces import sphere

needs_library = pytest.mark.skipif(
    native.library() is None, reason="needs the compiled renderer, and there is no C++ compiler"
)
DISTANCE = 0.836
"""Of front_camera to the origin, metres."""
FRONT = look_from(0, 0, 512, np.zeros(3), framed=0.35, distance=0.7)
"""A face fills the picture."""
TRIANGLE = torch.tensor([[-0.05, -0.05, 0.0], [0.06, -0.04, 0.03], [0.0, 0.07, -0.04]])
ONE_FACE = torch.tensor([[0, 1, 2]])


@pytest.fixture(scope="module")
def head() -> FlameHead:
    return load_open_head()


@pytest.fixture(params=["compiled", "numpy"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Draws with the library, and without."""
    if request.param == "numpy":
        monkeypatch.setattr(native, "library", lambda: None)
    elif native.library() is None:
        pytest.skip("needs the compiled library, and there is no C++ compiler")
    return request.param


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the thread count, and puts it back."""
    before = native.get_threads()
    yield native.set_threads
    native.set_threads(before)


def by_numpy(vertices: Tensor, faces: Tensor, camera: Camera) -> MeshView:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "library", lambda: None)
        return render_mesh(vertices, faces, camera)


def assert_same(view: MeshView, expected: MeshView) -> None:
    """Bit for bit."""
    for name in ("face_ids", "bary", "depth"):
        assert torch.equal(getattr(view, name), getattr(expected, name)), name


def assert_empty(view: MeshView) -> None:
    assert view.face_ids.eq(-1).all()
    assert view.bary.eq(0).all()
    assert view.depth.isposinf().all()


def assert_agrees(vertices: Tensor, faces: Tensor, camera: Camera) -> None:
    view, expected = render_mesh(vertices, faces, camera), by_numpy(vertices, faces, camera)
    same = view.face_ids == expected.face_ids
    # Fused multiply-adds change the last bit of a float64: it decides only for a centre on an edge.
    assert (~same).sum() <= 3
    # float32 rounding of values up to 1, and relative for depths.
    torch.testing.assert_close(view.bary[same], expected.bary[same], rtol=0, atol=2e-7)
    torch.testing.assert_close(view.depth[same], expected.depth[same], rtol=2e-7, atol=0)


@needs_library
@pytest.mark.parametrize("yaw", [0, 35, 90, 180])
def test_compiled_agrees_with_numpy_on_the_head(head: FlameHead, yaw: float) -> None:
    camera = orbit(resize_camera(FRONT, 256, 256), yaw, yaw / 9)
    assert_agrees(head.template, head.faces, camera)
    assert render_mesh(head.template, head.faces, camera).face_ids.ge(0).float().mean() > 0.3


@needs_library
@pytest.mark.parametrize(("width", "height"), [(1, 1), (17, 33), (129, 70), (300, 3), (3, 300)])
def test_compiled_agrees_with_numpy_in_any_size(head: FlameHead, width: int, height: int) -> None:
    camera = resize_camera(FRONT, width, height)
    assert_agrees(head.template, head.faces, camera)
    view = render_mesh(head.template, head.faces, camera)
    assert view.face_ids.shape == view.depth.shape == (height, width)
    assert view.bary.shape == (height, width, 3)


def test_a_pixel_shows_the_point_it_says(path: str, head: FlameHead) -> None:
    camera = orbit(resize_camera(FRONT, 120, 90), 20, 10)
    view = render_mesh(head.template, head.faces, camera)
    assert view.face_ids.dtype == torch.int64
    assert view.bary.dtype == view.depth.dtype == torch.float32
    seen = (view.face_ids >= 0).flatten()
    corners = head.template[head.faces[view.face_ids.flatten()[seen]]]  # [P, 3, 3]
    points = project(camera, (corners * view.bary.flatten(0, 1)[seen][..., None]).sum(1))
    centres = pixel_centres(range(90), range(120), points)[seen]
    # float32 rounding, of pixels up to 120 and metres around 1, over a projection.
    torch.testing.assert_close(points[:, :2], centres, rtol=0, atol=1e-3)
    torch.testing.assert_close(points[:, 2], view.depth.flatten()[seen], rtol=0, atol=1e-6)
    empty = view.face_ids < 0
    assert view.depth[empty].isposinf().all()
    assert view.bary[empty].eq(0).all()


def test_a_closed_surface_has_no_holes(path: str) -> None:
    vertices, faces = sphere(40, 30)
    camera = orbit(front_camera(101, 101), 10)
    view = render_mesh(vertices, faces, camera)
    ray = (pixel_centres(range(101), range(101), vertices) - 50.5) / camera.K[0, 0]
    inside = ray.norm(dim=1) < 0.97 * 0.1 / DISTANCE  # 40 x 30 faces: chords lie 1% within
    assert view.face_ids.flatten()[inside].ge(0).all()
    assert view.depth.flatten()[inside].max() < DISTANCE


@pytest.mark.parametrize("flipped", [False, True])
def test_the_nearest_face_is_seen_from_both_sides(path: str, flipped: bool) -> None:
    vertices = torch.cat((TRIANGLE, 0.9 * TRIANGLE + torch.tensor([0, 0, 0.1])))
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    faces = faces.flip(1) if flipped else faces
    camera = front_camera(64, 64)
    alone = render_mesh(vertices, faces[1:], camera)
    for order in ([0, 1], [1, 0]):
        view = render_mesh(vertices, faces[order], camera)
        covered = alone.face_ids >= 0
        assert covered.sum() > 50
        assert view.face_ids[covered].eq(order.index(1)).all()
        assert torch.equal(view.depth[covered], alone.depth[covered])


def test_the_first_of_equal_faces_is_seen(path: str) -> None:
    turns = ONE_FACE.repeat(40, 1)
    turns[::2] = turns[::2].roll(1, dims=1)
    turns[::3] = turns[::3].flip(1)
    view = render_mesh(TRIANGLE, turns, front_camera(33, 33))
    # Turned corners round otherwise in float64; depths are compared as the float32 they are.
    assert (view.face_ids > 0).sum() <= 2
    assert (view.face_ids == 0).sum() > 50
    same = render_mesh(TRIANGLE, ONE_FACE.repeat(40, 1), front_camera(33, 33))
    assert same.face_ids.max() == 0


def test_nothing_to_see(path: str) -> None:
    camera = front_camera(20, 10)
    assert_empty(render_mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long), camera))
    assert_empty(render_mesh(TRIANGLE, torch.zeros(0, 3, dtype=torch.long), camera))
    assert_empty(render_mesh(TRIANGLE + torch.tensor([9.0, 0, 0]), ONE_FACE, camera))
    assert_empty(render_mesh(TRIANGLE + torch.tensor([0, 0, 2.0]), ONE_FACE, camera))


@pytest.mark.parametrize("corner", [0, 1, 2])
def test_faces_that_reach_the_camera_are_left_out(path: str, corner: int) -> None:
    camera = front_camera(20, 20)
    for gap, drawn in ((0.9 * NEAR, False), (1.1 * NEAR, True), (-0.1, False)):
        vertices = TRIANGLE.clone()
        vertices[corner, 2] = DISTANCE - gap
        assert render_mesh(vertices, ONE_FACE, camera).face_ids.ge(0).any() == drawn


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_faces_that_are_not_finite_are_left_out(path: str, bad: float, axis: int) -> None:
    vertices, faces = sphere(20, 15)
    camera = orbit(front_camera(60, 60), 15, 5)
    spoilt = torch.tensor([5, 90, 217])
    kept = (~torch.isin(faces, spoilt).any(1)).nonzero().squeeze(1)
    expected = render_mesh(vertices, faces[kept], camera)
    vertices[spoilt, axis] = bad
    view = render_mesh(vertices, faces, camera)
    numbers = torch.cat((kept, torch.tensor([-1])))  # -1 stays the last
    assert_same(view, MeshView(numbers[expected.face_ids], expected.bary, expected.depth))


@pytest.mark.parametrize("size", [1e6, 1e20, 3e38])
def test_huge_faces_stay_finite(path: str, size: float) -> None:
    vertices, faces = sphere(20, 15)
    vertices[[5, 90, 217]] *= size
    view = render_mesh(vertices, faces, orbit(front_camera(60, 60), 15, 5))
    assert view.bary.isfinite().all()
    assert view.depth.gt(0).all()
    assert torch.equal(view.depth.isinf(), view.face_ids < 0)


def test_faces_seen_edge_on_are_finite(path: str) -> None:
    camera = front_camera(31, 31)  # its optical axis runs through the centre of a pixel
    for tilt in (0.0, 1e-9, 1e-7, 1e-5):
        upright = torch.tensor([[0.0, -0.05, -0.05], [tilt, 0.05, 0.0], [0.0, 0.0, 0.05]])
        view = render_mesh(upright, ONE_FACE, camera)
        assert view.bary.isfinite().all()
        assert not view.depth.isnan().any()
        assert view.bary.ge(0).all()
    doubled = render_mesh(TRIANGLE, torch.tensor([[0, 1, 1], [2, 2, 2]]), camera)
    assert_empty(doubled)


def test_faces_larger_than_the_picture(path: str) -> None:
    far = torch.tensor([[-900.0, -800, -5], [1000, -800, -5], [0, 900, -5]])
    view = render_mesh(far, ONE_FACE, front_camera(45, 23))
    assert view.face_ids.eq(0).all()
    # Relative float32 rounding of the corners, which are 1000 m away.
    torch.testing.assert_close(view.depth, torch.full((23, 45), 5 + DISTANCE), rtol=1e-5, atol=0)


def test_other_types_and_layouts(path: str) -> None:
    vertices, faces = sphere(20, 15)
    camera = front_camera(40, 40)
    expected = render_mesh(vertices, faces, camera)
    strided = vertices.T.contiguous().T.requires_grad_()
    assert_same(render_mesh(strided, faces.int().T.contiguous().T, camera), expected)


def test_wrong_meshes_are_refused(path: str) -> None:
    camera = front_camera(8, 8)
    for faces in (torch.tensor([[0, 1, 3]]), torch.tensor([[0, -1, 2]])):
        with pytest.raises(InputError, match="faces"):
            render_mesh(TRIANGLE, faces, camera)
    with pytest.raises(ShapeError, match="vertices"):
        render_mesh(TRIANGLE[:, :2], ONE_FACE, camera)
    with pytest.raises(ShapeError, match="faces"):
        render_mesh(TRIANGLE, ONE_FACE[:, :2], camera)


@needs_library
def test_any_number_of_threads_draws_the_same(
    threads: Callable[[int], None], head: FlameHead
) -> None:
    camera = resize_camera(FRONT, 130, 201)
    threads(1)
    expected = render_mesh(head.template, head.faces, camera)
    for count in (2, 3, 8):
        threads(count)
        assert_same(render_mesh(head.template, head.faces, camera), expected)


@needs_library
def test_threads_may_draw_at_once(head: FlameHead) -> None:
    cameras = [orbit(resize_camera(FRONT, 64, 64), 30 * i) for i in range(4)]
    right = [render_mesh(head.template, head.faces, camera) for camera in cameras]
    wrong: list[int] = []

    def draw_often(index: int) -> None:
        for _ in range(10):
            view = render_mesh(head.template, head.faces, cameras[index])
            if not torch.equal(view.bary, right[index].bary):
                wrong.append(index)

    workers = [threading.Thread(target=draw_often, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
