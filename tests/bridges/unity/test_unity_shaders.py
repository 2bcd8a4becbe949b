"""The Unity package's shaders: compiled by glslang, the Gaussians drawn on a software Vulkan."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexavatar.formats.packed16 import ScaleRange, unpack
from flexavatar.render.rasterize import rasterize
from plugin_server import wire
from plugin_server.splats import SplatEncoder
from tests.bridges import dotnet
from tests.bridges.unity.conftest import UNITY, RunChecks
from tests.make_golden import splat_message
from tests.service import tiny_camera, tiny_gaussians

RESOURCES = UNITY / "Runtime" / "Resources"
DRIVER = Path("/usr/share/vulkan/icd.d/lvp_icd.x86_64.json")
COUNT = 2000
PRELUDE = """
float4x4 Projection;
#define UNITY_MATRIX_P Projection
{colours}
#include "{shader}Pass.hlsl"
"""

needs_glslang = pytest.mark.skipif(
    shutil.which("glslangValidator") is None, reason="needs glslang-tools"
)


def needs_vulkan(test: Any) -> Any:
    """Skips a test where the tools or the software driver are missing."""
    driver = pytest.mark.skipif(not DRIVER.exists(), reason="needs mesa-vulkan-drivers")
    return needs_glslang(dotnet.needs_dotnet(driver(test)))


def compile_shader(shader: str, folder: Path, gamma: bool = True) -> None:
    """Both stages in HLSL, with a stand-in for the pipeline's projection, to SPIR-V."""
    colours = "#define UNITY_COLORSPACE_GAMMA" if gamma else ""
    source = folder / f"{shader}.hlsl"
    source.write_text(PRELUDE.format(colours=colours, shader=shader))
    for stage in ("vertex", "fragment"):
        options = ["-D", "-V", "--auto-map-bindings", "--auto-map-locations", f"-I{RESOURCES}"]
        result = subprocess.run(
            ["glslangValidator", *options, "-S", stage[:4], "-e", stage.capitalize(),
             "-o", str(folder / f"{stage}.spv"), str(source)],
            capture_output=True,
            text=True,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout


@needs_glslang
@pytest.mark.parametrize("shader", ["FlexAvatarSplats", "FlexAvatarPicture"])
@pytest.mark.parametrize("gamma", [True, False])
def test_shaders_compile(tmp_path: Path, shader: str, gamma: bool) -> None:
    compile_shader(shader, tmp_path, gamma)


def projection() -> np.ndarray:
    """The tiny camera's, in Unity's view space (z towards the viewer), depth 0..1."""
    camera = tiny_camera()
    K, (width, height) = camera.K.numpy(), (camera.width, camera.height)
    near, far = 0.1, 10.0
    matrix = np.zeros((4, 4))
    matrix[0, [0, 2]] = 2 * K[0, 0] / width, 1 - 2 * K[0, 2] / width
    matrix[1, [1, 2]] = 2 * K[1, 1] / height, 2 * K[1, 2] / height - 1
    matrix[2, [2, 3]] = far / (near - far), near * far / (near - far)
    matrix[3, 2] = -1
    return matrix


def write_globals(file: Path, *parts: Any) -> None:
    """The shader's globals in their order; matrices go column by column."""
    flat = [np.asarray(part, np.float32).T.ravel() for part in parts]
    np.concatenate(flat).tofile(file)


def draw(shader: str, folder: Path, plan: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Compile and draw: premultiplied RGBA [H, W, 4], depth [H, W] as the GPU keeps it."""
    compile_shader(shader, folder)
    camera = tiny_camera()
    size = {"width": camera.width, "height": camera.height, "vertices": 6}
    (folder / "plan.json").write_text(json.dumps({**size, **plan}))
    environment = dotnet.environment(
        PYTHONPATH=str(dotnet.PYTHON_TOOLS), VK_ICD_FILENAMES=str(DRIVER),
        WGPU_BACKEND_TYPE="Vulkan", XDG_RUNTIME_DIR=str(folder),
    )  # fmt: skip
    result = subprocess.run(
        [sys.executable, str(dotnet.HERE / "vulkan_draw.py"), str(folder)],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    picture = np.fromfile(folder / "picture.bin", np.float16).astype(float)
    depth = np.fromfile(folder / "depth.bin", np.float32)
    shape = (camera.height, camera.width)
    return picture.reshape(*shape, 4), depth.reshape(shape)


def psnr_db(drawn: np.ndarray, expected: np.ndarray) -> float:
    """How alike they are where something is expected."""
    covered = expected[..., 3] > 0
    assert covered.mean() > 0.3
    return float(-10 * np.log10(((drawn - expected)[covered] ** 2).mean()))


@needs_vulkan
def test_splats_are_drawn_as_the_server_draws_them(run_checks: RunChecks, tmp_path: Path) -> None:
    splats = tiny_gaussians(6, COUNT)
    message = splat_message(SplatEncoder(COUNT).update(splats, 1, keyframe=True), 1)
    header = wire.read_header(message)
    packed = np.frombuffer(wire.payload(message), np.uint8).reshape(-1, 16)
    camera = tiny_camera()
    (tmp_path / "key.bin").write_bytes(message)
    run_checks("order", tmp_path / "key.bin", tmp_path / "order.bin")
    packed.tofile(tmp_path / "splats.bin")
    model_view = np.diag([1, -1, -1, 1]) @ camera.viewmat.numpy()
    scales, size = (*header.scales, 0, 0), (camera.width, camera.height, 0, 0)
    write_globals(tmp_path / "globals.bin", projection(), model_view, scales, size)
    plan = {"instances": COUNT, "bindings": ["globals.bin", "splats.bin", "order.bin"]}
    drawn, _ = draw("FlexAvatarSplats", tmp_path, plan)
    expected = rasterize(unpack(packed, ScaleRange(*header.scales)), camera).rgba
    likeness = psnr_db(drawn, expected.double().numpy())
    print(f"Unity's shader on a software Vulkan against our rasteriser: {likeness:.1f} dB")
    assert likeness > 50


@needs_vulkan
def test_a_card_is_where_the_server_saw_it(tmp_path: Path) -> None:
    """From the server's own camera its picture is seen as it is, and as far away."""
    camera = tiny_camera()
    frame = rasterize(tiny_gaussians(6, COUNT), camera)
    rgba = (frame.rgba.clamp(0, 1) * 255).round().byte().numpy()
    metres = frame.depth.numpy()
    rgba[::-1].tofile(tmp_path / "rgba.bin")  # a texture of Unity begins with its lowest row
    metres[::-1].astype(np.float32).tofile(tmp_path / "metres.bin")
    K = camera.K.numpy()
    intrinsics = (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    size = (camera.width, camera.height, 1.0, 0)
    has_depth = (1, 0, 0, 0)
    write_globals(tmp_path / "globals.bin", projection(), has_depth, np.eye(4), intrinsics, size)
    plan = {
        "instances": 1,
        "bindings": ["globals.bin", "rgba.bin", "metres.bin", ""],
        "textures": {"rgba.bin": "rgba8unorm", "metres.bin": "r32float"},
    }
    drawn, depth = draw("FlexAvatarPicture", tmp_path, plan)
    assert psnr_db(drawn, rgba / 255) > 60  # but for float16
    covered = rgba[..., 3] > 0
    matrix = projection()
    expected = -matrix[2, 2] + matrix[2, 3] / metres[covered]
    np.testing.assert_allclose(depth[covered], expected, rtol=0, atol=1e-5)
    assert (depth[~covered] == 1).all()  # nothing is there
