"""The Unity package on real .NET: golden messages, axes, messages that lie, steady memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import zmq
from scipy.spatial.transform import Rotation

from flexavatar.formats.packed16 import ScaleRange, unpack
from plugin_server import wire
from plugin_server.splats import SplatEncoder
from plugin_server.wire import Kind
from tests.bridges.dotnet import needs_dotnet
from tests.bridges.unity.conftest import RunChecks
from tests.make_golden import GOLDEN, everything, header, splat_message
from tests.service import tiny_gaussians

pytestmark = needs_dotnet
SOAK_FRAMES = 10_000
SPLATS = 6_000
MEMBERS = Path(__file__).parent / "netstandard_members.txt"
"""Members of .NET that were looked up in Mono 6.8's libraries, which have .NET Standard 2.1's."""
COMPILERS = ("System.Runtime.CompilerServices.", "System.Diagnostics.Debugg")
SH_C0 = 0.28209479177387814


def test_the_packages_own_tests_pass(run_checks: RunChecks, assemblies: dict[str, Path]) -> None:
    result = json.loads(run_checks("nunit", assemblies["FlexAvatar.Tests"]))
    assert result["passed"] >= 20
    assert "failed" not in result


def test_the_core_uses_only_what_unitys_net_has(
    run_checks: RunChecks, assemblies: dict[str, Path]
) -> None:
    """.NET 8 has more than .NET Standard 2.1: whatever is new here must be looked up first."""
    used = set(run_checks("members", assemblies["FlexAvatar.Core"], whole=True).splitlines())
    known = set(MEMBERS.read_text().splitlines())
    assert len(used) > 100
    assert {name for name in used if not name.startswith(COMPILERS)} <= known


def test_golden_files_are_read_and_written_back(run_checks: RunChecks, tmp_path: Path) -> None:
    run_checks("golden", GOLDEN, tmp_path)
    for name in everything():
        assert (tmp_path / f"{name}.bin").read_bytes() == (GOLDEN / f"{name}.bin").read_bytes()


def test_splats_are_where_python_has_them(run_checks: RunChecks, tmp_path: Path) -> None:
    splats = tiny_gaussians(1, 5000)
    message = splat_message(SplatEncoder(5000).update(splats, 7, keyframe=True), 7)
    (tmp_path / "key.bin").write_bytes(message)
    run_checks("unpack", tmp_path / "key.bin", tmp_path / "unity.bin")
    unity = np.fromfile(tmp_path / "unity.bin", np.float32).reshape(-1, 14)
    parsed = wire.read_header(message)
    packed = np.frombuffer(wire.payload(message), np.uint8).reshape(-1, 16)
    g = unpack(packed, ScaleRange(*parsed.scales))
    expected = np.concatenate(
        (
            g.means.numpy() * (1, 1, -1),
            g.quats.numpy() * (1, -1, -1, 1),
            g.scales.numpy(),
            0.5 + SH_C0 * g.sh[:, 0].numpy(),
            g.opacities.numpy()[:, None],
        ),
        axis=1,
    )
    np.testing.assert_allclose(unity, expected, rtol=0, atol=1e-6)
    assert g.means.abs().max() > 0.05  # something was compared


def test_turned_splats_cover_the_same_space(run_checks: RunChecks, tmp_path: Path) -> None:
    """The rule for quaternions follows from the one for positions: mirrored covariances."""
    message = splat_message(SplatEncoder(600).update(tiny_gaussians(2), 7, keyframe=True), 7)
    (tmp_path / "key.bin").write_bytes(message)
    run_checks("unpack", tmp_path / "key.bin", tmp_path / "unity.bin")
    unity = np.fromfile(tmp_path / "unity.bin", np.float32).reshape(-1, 14).astype(float)
    packed = np.frombuffer(wire.payload(message), np.uint8).reshape(-1, 16)
    head = unpack(packed, ScaleRange(*wire.read_header(message).scales))
    mirror = np.diag([1.0, 1.0, -1.0])

    def covariances(quats: np.ndarray, scales: np.ndarray) -> np.ndarray:
        turns = Rotation.from_quat(quats[:, [1, 2, 3, 0]]).as_matrix()
        return turns @ (scales[:, :, None] ** 2 * turns.transpose(0, 2, 1))

    expected = mirror @ covariances(head.quats.double().numpy(), head.scales.double().numpy())
    found = covariances(unity[:, 3:7], unity[:, 7:10])
    # scales up to 1 cm squared, at float32's precision
    np.testing.assert_allclose(found, expected @ mirror, rtol=0, atol=1e-9)


def test_cameras_see_the_same_in_unitys_axes(run_checks: RunChecks, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    views = np.tile(np.eye(4, dtype=np.float32), (20, 1, 1))
    views[:, :3, :3] = Rotation.random(20, random_state=3).as_matrix()
    views[:, :3, 3] = random.normal(size=(20, 3))
    views.tofile(tmp_path / "views.bin")
    run_checks("views", tmp_path / "views.bin", tmp_path / "unity.bin")
    unity = np.fromfile(tmp_path / "unity.bin", np.float32).reshape(-1, 4, 4)
    point = np.array([0.1, 0.2, 0.3, 1])
    seen = views @ point  # OpenCV: x right, y down, z forward
    in_unity = unity @ (point * (1, 1, -1, 1))  # x right, y up, z towards the viewer
    np.testing.assert_allclose(in_unity, seen * (1, -1, -1, 1), rtol=0, atol=1e-6)


def test_what_lies_is_refused_with_the_packages_own_errors(run_checks: RunChecks) -> None:
    result = json.loads(run_checks("fuzz", GOLDEN, 20_000))
    assert result["refused"] > 10_000  # most are broken, and all were survived
    assert result["texts"] > 5_000
    assert result["hungUp"] > 0
    assert result["grownBytes"] < 4 << 20


@contextmanager
def publisher() -> Iterator[str]:
    """An XPUB socket that sends SOAK_FRAMES and a tenth, pictures and splats, without a pause."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.XPUB_NODROP, 1)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDTIMEO, 20_000)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    thread = threading.Thread(target=_publish, args=(socket,))
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{port}"
    finally:
        thread.join()
        socket.close()
        context.term()


def _publish(socket: zmq.Socket[bytes]) -> None:
    assert socket.recv()[:1] == b"\x01"
    random = torch.Generator().manual_seed(1)
    encoder, splats = SplatEncoder(SPLATS), tiny_gaussians(3, SPLATS)
    picture = replace(header(Kind.RGBA8), width=64, height=64)
    messages = [bytes(wire.pack(picture, bytes(64 * 64 * 4)))]
    for seq in range(1, 40):
        start = int(torch.randint(0, SPLATS - 1000, (1,), generator=random))
        means = splats.means.clone()
        means[start : start + 1000] += 0.01
        update = encoder.update(replace(splats, means=means), seq, keyframe=seq % 13 == 1)
        messages.append(splat_message(update, seq))
    for number in range(SOAK_FRAMES * 11 // 10):
        socket.send(messages[number % len(messages)])


def test_memory_is_flat_over_many_frames(run_checks: RunChecks) -> None:
    with publisher() as address:
        result = json.loads(run_checks("soak", address, SOAK_FRAMES))
    print(f"soak: {result}")
    assert result["uploaded"] > SOAK_FRAMES
    assert result.get("collections", 0) == 0
    # nothing per frame: what is left is the runtime's own, a few kilobytes in all
    assert result.get("allocatedPerFrame", 0) < 16
    assert result["grownBytes"] < 256 << 10


def test_sorting_fits_into_a_frame(run_checks: RunChecks) -> None:
    result = json.loads(run_checks("speed", 75_000))
    print(f"75,000 splats sorted in {result['sortMs']:.1f} ms")
    assert result["sortMs"] < 16  # a frame at 60 a second; on a busy machine too
