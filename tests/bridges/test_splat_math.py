"""The splat shader's arithmetic, compiled as C++, against our own rasteriser's projection."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from flexavatar.formats.packed16 import unpack
from flexavatar.render.camera import orbit
from flexavatar.render.reference import composite, project, rasterize_reference
from flexavatar.types import Camera, Gaussians
from plugin_server import wire
from plugin_server.splats import SplatEncoder
from tests.bridges.conftest import CPP, Build
from tests.make_golden import splat_message
from tests.service import PATIENCE_S, tiny_camera, tiny_gaussians

SHADERS = CPP.parent / "Shaders" / "Private"
CENTIMETRES = 100.0
EVERY_PART = """
#include "FlexAvatarSplatMaterial.ush"
StructuredBuffer<float4> numbers;
Texture2D splats;
Texture2D order;
float4 main(uint vertex : SV_VertexID) : SV_Position
{
    FlexCamera camera = {numbers[0], numbers[1], numbers[2], numbers[3].xy, numbers[3].zw,
        numbers[4].xy, numbers[4].z};
    FlexQuad quad = flexProject(camera, numbers[5].xyz, numbers[6], numbers[7].xyz, numbers[8].x);
    float2 corner = float2(vertex & 1, vertex >> 1) * 2 - 1;
    float4 color = FlexColor(splats, order, numbers[9].xy);
    float3 place = FlexPlace(splats, order, numbers[9].xy, corner, numbers[0], numbers[1],
        numbers[2], numbers[10], numbers[11], numbers[12], numbers[13]);
    color.xyz = FlexLinear(color.xyz) * FlexOpacity(color, corner) + place;
    float4 texel = FlexPicture(color, numbers[14].x, numbers[14].y, numbers[14].z, numbers[14].w);
    return float4(flexCorner(camera, quad, corner), flexAlpha(0.5, quad.extent, corner)) + texel;
}
"""


@pytest.fixture(scope="module")
def splats() -> Gaussians:
    """Of every size, some behind the camera, some too faint."""
    return tiny_gaussians(7, 400)


def shader(program: Path, gaussians: Gaussians, camera: Camera, unit: float) -> np.ndarray:
    """What the arithmetic says of every Gaussian: [N, 15]."""
    view = camera.viewmat.double().numpy()[:3] * unit
    K = camera.K.double().numpy()
    numbers = [*view.flatten(), K[0, 0], K[1, 1], K[0, 2], K[1, 2], camera.width, camera.height]
    g = gaussians
    rows = torch.cat((g.means, g.quats, g.scales, g.opacities[:, None]), 1).double().numpy()
    lines = [" ".join(f"{x:.9g}" for x in row) for row in ([*numbers, unit], *rows)]
    done = subprocess.run(
        [program, "project"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0
    return np.array([[float(x) for x in line.split()] for line in done.stdout.splitlines()])


@pytest.mark.parametrize("unit", [1.0, CENTIMETRES])
def test_it_projects_as_we_do(program: Build, splats: Gaussians, unit: float) -> None:
    camera = orbit(tiny_camera(), 25.0, -10.0)
    found = shader(program("splat_test"), splats, camera, unit)
    drawn = found[:, 6] > 0
    ours = project(splats, camera)
    order = np.argsort(found[drawn, 6], kind="stable")
    mine = found[drawn][order]
    assert len(mine) == len(ours.depths)
    # float32 both: a pixel is told to some 1e-4, covariances to a few parts in a million
    np.testing.assert_allclose(mine[:, 6] / unit, ours.depths, rtol=1e-5)
    np.testing.assert_allclose(mine[:, :2], ours.means, atol=2e-3)
    xx, xy, yy = mine[:, 2], mine[:, 3], mine[:, 4]
    conics = np.stack((yy, -xy, xx), 1) / (xx * yy - xy * xy)[:, None]
    np.testing.assert_allclose(conics, ours.conics, rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(mine[:, 5, None] * np.sqrt(mine[:, [2, 4]]), ours.radii, rtol=1e-4)


def test_quads_are_the_ellipses(program: Build, splats: Gaussians) -> None:
    """Alpha at a corner's half, as the reference blends it there; corners unproject to pixels."""
    camera = tiny_camera()
    found = shader(program("splat_test"), splats, camera, 1.0)
    found = found[found[:, 6] > 0]
    ours = project(splats, camera)
    order = np.argsort(found[:, 6], kind="stable")
    mine = found[order]
    K = camera.K.numpy()
    pixels = mine[:, 11:13] / mine[:, 13:14] * K[[0, 1], [0, 1]] + K[:2, 2]
    corners = mine[:, :2] + mine[:, 7:9] - mine[:, 9:11]
    np.testing.assert_allclose(pixels, corners, atol=2e-3)
    for i in range(0, len(mine), 20):
        one = ours[torch.tensor([i])]
        place = torch.tensor(mine[i, :2] + 0.5 * mine[i, 7:9], dtype=torch.float32)[None]
        alpha = float(composite(one, place)[0, 3])
        expected = float(one.opacities) * np.exp(-0.125 * mine[i, 5] ** 2)
        if expected > 2 / 255:  # below, one of the two may skip it
            assert alpha == pytest.approx(expected, rel=5e-3)


def unreal_view(place: np.ndarray, axes: np.ndarray) -> torch.Tensor:
    """A camera in Unreal's space (rows: right, up, forward) as our viewmat."""
    to_unreal = np.array([[0, 0, 100], [-100, 0, 0], [0, 100, 0]])
    seen = axes * [[1], [-1], [1]] / CENTIMETRES  # OpenCV's y is down; metres
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = seen @ to_unreal, -seen @ place
    return torch.tensor(view, dtype=torch.float32)


def test_the_picture_is_ours(program: Build, tmp_path: Path) -> None:
    """Wire, texture rows, order, projection and falloff, all as in the engine, end to end."""
    side, focal = 96, 220.0
    splats = tiny_gaussians(3, 600)
    splats.sh.mul_(0.3)
    update = SplatEncoder(600).update(splats, 7, keyframe=True)
    message = splat_message(update, 7)
    (tmp_path / "key.bin").write_bytes(message)
    turn = Rotation.from_euler("z", 25, degrees=True).as_matrix()
    axes = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]) @ turn.T  # looks along +X, turned
    place = -60.0 * axes[2] + [0, 0, 3]
    numbers = " ".join(f"{x:.9g}" for x in (*place, *axes.flatten()))
    out = tmp_path / "picture.bin"
    command = [program("splat_test"), "draw", tmp_path / "key.bin", out, str(focal), str(side)]
    subprocess.run(command, input=numbers, text=True, timeout=PATIENCE_S, check=True)
    drawn = np.fromfile(out, np.float32).reshape(side, side, 4)
    K = torch.tensor([[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]])
    camera = Camera(unreal_view(place, axes), K, side, side)
    packed = np.frombuffer(wire.payload(message), np.uint8).reshape(-1, 16)
    expected = rasterize_reference(unpack(packed, update.scales), camera).rgba.numpy()
    assert expected[..., 3].mean() > 0.1, "there is something to see"
    error = np.abs(drawn - expected)
    assert error.mean() < 1e-3  # half floats
    assert np.quantile(error, 0.999) < 0.05  # two of nearly one depth may change places


@pytest.mark.skipif(shutil.which("glslangValidator") is None, reason="needs glslangValidator")
def test_it_is_hlsl(tmp_path: Path) -> None:
    """glslang compiles every part of it as HLSL."""
    (tmp_path / "every_part.vert").write_text(EVERY_PART)
    command = ["glslangValidator", "-D", "-e", "main", "-V", f"-I{SHADERS}", "every_part.vert"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
