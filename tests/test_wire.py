"""The wire: layout, golden messages, splats in 16 bytes, and messages that lie."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch

from flexavatar.errors import SessionNotFoundError
from flexavatar.formats.packed16 import ScaleRange, extent_of, pack, pack_in_torch, unpack
from flexavatar.render import native
from flexavatar.types import Gaussians
from plugin_server import wire
from plugin_server.client.frame_reader import Decoder
from plugin_server.splats import SplatDecoder, SplatEncoder
from plugin_server.wire import Flags, Header, Kind, WireError
from tests import make_golden
from tests.make_golden import COUNT, GOLDEN, SESSION, moved, splat_message
from tests.service import tiny_gaussians

NAMES = sorted(make_golden.messages())


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.bin").read_bytes()


# ---- packed16


def turn_between(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Angle in radians between unit quaternions: [N, 4], [N, 4] -> [N]."""
    return 2 * (a * b).sum(-1).abs().clamp(max=1).acos()


def test_packed16_keeps_splats_within_its_steps() -> None:
    splats = tiny_gaussians(1, 5000)
    limits = extent_of(splats).scales
    back = unpack(pack(splats, limits).numpy(), limits)
    # float16 keeps 11 bits: under 0.125 m a step is 2^-14 m, and rounding errs by half of it
    torch.testing.assert_close(back.means, splats.means, rtol=0, atol=2**-14)
    # 254 steps over the range of logarithms, rounded to the nearest
    step = (limits.maximum - limits.minimum) / 254
    assert (back.scales.log() - splats.scales.log()).abs().max() < 0.51 * step
    torch.testing.assert_close(back.opacities, splats.opacities, rtol=0, atol=0.51 / 255)
    # axis: an octahedral step of 1/127.5 is at most about 1.3 degrees; angle: half of pi/255
    assert turn_between(back.quats, splats.quats).max() < math.radians(2.0)
    colours = (0.5 + 0.28209479177387814 * splats.sh).clamp(0, 1)
    packed = 0.5 + 0.28209479177387814 * back.sh
    torch.testing.assert_close(packed, colours, rtol=0, atol=0.51 / 255)


@pytest.mark.skipif(native.library() is None, reason="needs the compiled library")
def test_packed16_compiled_agrees_with_torch() -> None:
    splats = tiny_gaussians(5, 20_000)
    splats.scales[:10] = 0.0
    splats.quats[10:20] = torch.tensor([1.0, 0, 0, 0])
    splats.means[20:30] *= 1e-6  # denormal in float16
    found, limits = extent_of(splats), extent_of(splats).scales
    compiled, expected = pack(splats, limits), torch.empty(len(splats), 16, dtype=torch.uint8)
    pack_in_torch(splats, limits, expected)
    assert torch.equal(compiled[:, 4:10], expected[:, 4:10])  # float16 is exact
    off = (compiled.int() - expected.int()).abs()[:, [0, 1, 2, 3, 10, 11, 12, 13, 14, 15]]
    assert off.max() <= 1  # a value half way between two steps may fall to either side
    assert (off > 0).float().mean() < 1e-3
    assert found.bounds == (*splats.means.amin(0).tolist(), *splats.means.amax(0).tolist())


@pytest.mark.parametrize("field", ["means", "quats", "scales", "opacities", "sh"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("compiled", [True, False])
def test_packed16_hides_what_is_not_finite(
    monkeypatch: pytest.MonkeyPatch, field: str, value: float, compiled: bool
) -> None:
    if not compiled:
        monkeypatch.setattr(native, "library", lambda: None)
    splats = tiny_gaussians(4, 50)
    whole = extent_of(splats)
    getattr(splats, field)[7].view(-1)[-1] = value
    found = extent_of(splats)
    assert found.scales == whole.scales
    assert all(map(math.isfinite, found.bounds))
    packed = pack(splats, found.scales)
    assert not packed[7].any()
    assert packed[torch.arange(50) != 7, 3].float().mean() > 64  # the others are still there


@pytest.mark.parametrize("compiled", [True, False])
def test_packed16_of_nothing_finite(monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    if not compiled:
        monkeypatch.setattr(native, "library", lambda: None)
    splats = tiny_gaussians(4, 5)
    splats.means[:] = torch.tensor([math.nan, math.inf, 1e6])
    found = extent_of(splats)
    assert found.bounds == (0.0,) * 6
    assert not pack(splats, found.scales).any()


def test_packed16_layout_is_the_documented_one() -> None:
    one = Gaussians(
        means=torch.tensor([[1.0, -2.0, 0.5]]),
        quats=torch.tensor([[math.cos(math.pi / 4), 0.0, 0.0, -math.sin(math.pi / 4)]]),
        scales=torch.tensor([[math.exp(-8.0), math.exp(-2.0), 0.0]]),
        opacities=torch.tensor([1.0]),
        sh=torch.tensor([[[10.0, -10.0, 0.0]]]),
    )
    packed = pack(one, ScaleRange(-8.0, -2.0))[0].numpy().tobytes()
    assert packed[:4] == bytes((255, 0, 128, 255))
    assert struct.unpack("<3e", packed[4:10]) == (1.0, -2.0, 0.5)
    # straight down is a corner of the octahedral map; a quarter turn is half of pi
    assert packed[10:12] == bytes((255, 255))
    assert packed[12:] == bytes((1, 255, 0, 128))


def test_identity_rotation_survives() -> None:
    splats = replace(tiny_gaussians(2, 3), quats=torch.tensor([[1.0, 0, 0, 0]] * 3))
    limits = extent_of(splats).scales
    assert torch.equal(unpack(pack(splats, limits).numpy(), limits).quats, splats.quats)


def test_opposite_quaternions_are_the_same_rotation() -> None:
    splats = tiny_gaussians(3)
    limits = extent_of(splats).scales
    other = replace(splats, quats=-splats.quats)
    assert torch.equal(pack(splats, limits), pack(other, limits))


# ---- layout


def test_header_is_where_the_table_says() -> None:
    message = golden("wire_splats_delta")
    assert wire.HEADER_BYTES == 112
    assert message[:8] == b"FLXA" + struct.pack("<HH", 1, 0)
    assert message[8:24] == SESSION.encode()
    assert struct.unpack_from("<HHIQQ", message, 24) == (
        5, 0, 8, 1_234_567_890_123, 1_700_000_000_000_000_000,
    )  # fmt: skip
    assert struct.unpack_from("<6I", message, 48) == (0, 0, COUNT, 7, len(message) - 112, 112)
    low, high, *bounds = struct.unpack_from("<8f", message, 72)
    assert low < high
    assert all(a < b for a, b in zip(bounds[:3], bounds[3:], strict=True))


def test_topics_are_the_first_bytes() -> None:
    message = golden("wire_depth")
    assert message.startswith(wire.topic(SESSION)[0])
    assert message.startswith(wire.topic(SESSION, Kind.DEPTH)[0])
    assert not message.startswith(wire.topic(SESSION, Kind.RGBA8)[0])


def test_golden_bytes_are_still_written() -> None:
    for name, message in make_golden.messages().items():
        if name != "wire_jpeg":  # its bytes may change with the encoder
            assert message == golden(name), name


def test_golden_pictures_decode() -> None:
    decoder = Decoder()
    rgba = decoder.decode(golden("wire_rgba8"))
    assert rgba is not None
    assert rgba.rgba is not None
    assert np.array_equal(rgba.rgba, make_golden.picture())
    assert rgba.header.flags is Flags.REPEATED
    depth = decoder.decode(golden("wire_depth"))
    assert depth is not None
    assert depth.depth is not None
    assert np.array_equal(depth.depth, make_golden.depth())
    jpeg = decoder.decode(golden("wire_jpeg"))
    assert jpeg is not None
    assert jpeg.rgb is not None
    assert np.abs(jpeg.rgb.astype(int) - (10, 20, 30)).max() <= 3  # JPEG at quality 95
    with pytest.raises(SessionNotFoundError, match="its owner ended it"):
        decoder.decode(golden("wire_end"))


def test_golden_splats_decode() -> None:
    decoder, truth = Decoder(), tiny_gaussians(0, COUNT)
    for name, expected in (("wire_splats_key", truth), ("wire_splats_delta", moved(truth))):
        received = decoder.decode(golden(name))
        assert received is not None
        assert received.gaussians is not None
        # half a step of float16 below 0.25 m
        torch.testing.assert_close(received.gaussians.means, expected.means, rtol=0, atol=2**-13)


# ---- splat stream


def test_delta_holds_only_chunks_that_changed() -> None:
    encoder, splats = SplatEncoder(COUNT), tiny_gaussians(0, COUNT)
    assert encoder.update(splats, 1, keyframe=False).kind is Kind.SPLATS_KEY  # there is none yet
    still = encoder.update(splats, 2, keyframe=False)
    assert still.kind is Kind.SPLATS_DELTA
    assert still.payload_bytes == wire.bitmap_bytes(COUNT) == 16
    update = encoder.update(moved(splats), 3, keyframe=False)
    assert update.changed.tolist() == [True, False, True]
    assert update.payload_bytes == 16 + 16 * (256 + COUNT % 256)


def test_deltas_may_be_missed() -> None:
    encoder, decoder, splats = SplatEncoder(COUNT), SplatDecoder(), tiny_gaussians(0, COUNT)
    random = torch.Generator().manual_seed(4)
    for seq in range(1, 30):
        shift = 0.01 * torch.randn(3, generator=random)
        now = replace(splats, means=splats.means + shift * (torch.arange(COUNT) < 300)[:, None])
        update = encoder.update(now, seq, keyframe=seq % 10 == 1)
        message = splat_message(update, seq)
        if seq % 10 == 1 or seq % 3 == 0:
            decoded = decoder.feed_packed(wire.read_header(message), message)
            expected = pack(now, update.scales).numpy()
            assert decoded is not None
            assert np.array_equal(decoded, expected)


def test_delta_without_its_keyframe_waits() -> None:
    encoder, splats = SplatEncoder(COUNT), tiny_gaussians(0, COUNT)
    first = splat_message(encoder.update(splats, 1, keyframe=True), 1)
    splat_message(encoder.update(splats, 2, keyframe=True), 2)
    late = splat_message(encoder.update(moved(splats), 3, keyframe=False), 3)
    decoder = SplatDecoder()
    assert decoder.feed(wire.read_header(late), late) is None
    assert decoder.feed(wire.read_header(first), first) is not None
    assert decoder.feed(wire.read_header(late), late) is None  # it changes keyframe 2, not 1


def test_scales_beyond_the_keyframe_make_a_new_one() -> None:
    encoder, splats = SplatEncoder(COUNT), tiny_gaussians(0, COUNT)
    encoder.update(splats, 1, keyframe=True)
    grown = replace(splats, scales=splats.scales * 30)
    assert encoder.update(grown, 2, keyframe=False).kind is Kind.SPLATS_KEY


# ---- messages that lie


def refuse_or_decode(message: bytes, name: str) -> None:
    """Whatever comes in, the answer is a result or one of our errors."""
    decoder = Decoder()
    if name == "wire_splats_delta":
        decoder.decode(golden("wire_splats_key"))
    try:
        decoder.decode(message)
    except (WireError, SessionNotFoundError):
        pass


@pytest.mark.parametrize("name", NAMES)
def test_truncated_messages_are_refused(name: str) -> None:
    message = golden(name)
    for size in {*range(160), *range(160, len(message), 97), len(message) - 1}:
        if size < len(message):
            with pytest.raises(WireError):
                Decoder().decode(message[:size])
    with pytest.raises(WireError):
        Decoder().decode(message + b"\0")


@pytest.mark.parametrize("name", NAMES)
def test_fuzzed_messages_never_crash(name: str) -> None:
    random = np.random.default_rng(5)
    original = np.frombuffer(golden(name), np.uint8)
    for _ in range(150):
        message = original.copy()
        reach = wire.HEADER_BYTES if random.random() < 0.7 else len(message)
        for place in random.integers(0, reach, random.integers(1, 6)):
            message[place] = random.integers(256)
        refuse_or_decode(message.tobytes(), name)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("width", 0, "impossible size"),
        ("width", 20000, "impossible size"),
        ("height", 3, "expected 36 payload bytes"),
    ],
)
def test_impossible_pictures_are_refused(field: str, value: int, complaint: str) -> None:
    header = replace(make_golden.sized(Kind.RGBA8), **{field: value})
    with pytest.raises(WireError, match=complaint):
        Decoder().decode(wire.pack(header, bytes(24)))


@pytest.mark.parametrize(
    ("start", "content", "complaint"),
    [
        (0, b"FLXB", "expected to start with"),
        (4, b"\x02\x00", "expected version 1"),
        (8, b"XYZ", "hex digits"),
        (24, b"\x63\x00", "unknown kind 99"),
        (56, b"\xff\xff\xff\xff", "number of splats"),
        (72, struct.pack("<f", math.nan), "impossible bounds"),
        (72, struct.pack("<f", 50.0), "empty range"),
    ],
)
def test_a_broken_header_says_what_is_wrong(start: int, content: bytes, complaint: str) -> None:
    message = bytearray(golden("wire_splats_delta"))
    message[start : start + len(content)] = content
    with pytest.raises(WireError, match=complaint):
        Decoder().decode(message)


def test_a_bitmap_beyond_the_chunks_is_refused() -> None:
    message = bytearray(golden("wire_splats_delta"))
    message[wire.HEADER_BYTES] |= 0b1000  # chunk 3 of 0, 1, 2
    decoder = SplatDecoder()
    with pytest.raises(WireError, match="beyond the last of 3"):
        decoder.feed(wire.read_header(message), message)


def test_a_picture_in_another_size_than_said_is_refused() -> None:
    message = golden("wire_jpeg")
    header = replace(wire.read_header(message), width=5)
    with pytest.raises(WireError, match="expected 5x2, got 3x2"):
        Decoder().decode(wire.pack(header, bytes(wire.payload(message))))


def test_header_survives_a_round_trip() -> None:
    header = Header(
        SESSION, Kind.SPLATS_KEY, seq=2**32 - 1, pts_ns=2**64 - 1, server_ns=1, count=1,
        base_seq=2**32 - 1, payload_bytes=16, scales=ScaleRange(-8.0, 1.5),
        bounds=(-1.0, -2.0, -3.0, 1.0, 2.0, 3.0),
    )  # fmt: skip
    assert wire.read_header(wire.pack(header, bytes(16))) == header
