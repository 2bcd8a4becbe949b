"""The Unity package's shaders: compiled by glslang, the Gaussians drawn on a software Vulkan."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

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


def uniforms(header: wire.Header) -> np.ndarray:
    """The shader's globals in their order: projection, model-view (columns first), scales, size."""
    camera = tiny_camera()
    K, (width, height) = camera.K.numpy(), (camera.width, camera.height)
    near, far = 0.1, 10.0
    projection = np.zeros((4, 4))
    projection[0, [0, 2]] = 2 * K[0, 0] / width, 1 - 2 * K[0, 2] / width
    projection[1, [1, 2]] = 2 * K[1, 1] / height, 2 * K[1, 2] / height - 1
    projection[2, [2, 3]] = far / (near - far), near * far / (near - far)
    projection[3, 2] = -1
    model_view = np.diag([1, -1, -1, 1]) @ camera.viewmat.numpy()
    rest = (*header.scales, 0, 0, width, height, 0, 0)
    return np.concatenate((projection.T.ravel(), model_view.T.ravel(), rest)).astype(np.float32)


@needs_glslang
@dotnet.needs_dotnet
@pytest.mark.skipif(not DRIVER.exists(), reason="needs mesa-vulkan-drivers")
def test_splats_are_drawn_as_the_server_draws_them(run_checks: RunChecks, tmp_path: Path) -> None:
    splats = tiny_gaussians(6, COUNT)
    message = splat_message(SplatEncoder(COUNT).update(splats, 1, keyframe=True), 1)
    header = wire.read_header(message)
    packed = np.frombuffer(wire.payload(message), np.uint8).reshape(-1, 16)
    (tmp_path / "key.bin").write_bytes(message)
    run_checks("order", tmp_path / "key.bin", tmp_path / "order.bin")
    packed.tofile(tmp_path / "splats.bin")
    uniforms(header).tofile(tmp_path / "uniforms.bin")
    camera = tiny_camera()
    plan = {
        "width": camera.width,
        "height": camera.height,
        "vertices": 6,
        "instances": COUNT,
        "buffers": ["uniforms.bin", "splats.bin", "order.bin"],
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    compile_shader("FlexAvatarSplats", tmp_path)
    environment = dotnet.environment(
        PYTHONPATH=str(dotnet.PYTHON_TOOLS), VK_ICD_FILENAMES=str(DRIVER),
        WGPU_BACKEND_TYPE="Vulkan", XDG_RUNTIME_DIR=str(tmp_path),
    )  # fmt: skip
    script = dotnet.HERE / "vulkan_draw.py"
    result = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    drawn = np.fromfile(tmp_path / "picture.bin", np.float16).astype(float)
    expected = rasterize(unpack(packed, ScaleRange(*header.scales)), camera).rgba.double().numpy()
    difference = drawn.reshape(expected.shape) - expected
    covered = expected[..., 3] > 0
    psnr = -10 * np.log10((difference[covered] ** 2).mean())
    print(f"Unity's shader on a software Vulkan against our rasteriser: {psnr:.1f} dB")
    assert covered.mean() > 0.3
    assert psnr > 50
