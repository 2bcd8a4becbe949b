"""Small HEIC files, made in memory: HEVC of libx265 in the boxes of ISO/IEC 23008-12."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def encode_hevc(picture: Picture) -> tuple[bytes, bytes]:
    """One picture as a decoder configuration record and a coded frame, almost without loss."""
    encoder = av.CodecContext.create("libx265", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuv444p", Fraction(1, 1)
    encoder.options = {"x265-params": "qp=4:log-level=none:bframes=0:keyint=1"}
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    full = frame.reformat(format="yuv444p", dst_color_range="JPEG", dst_colorspace="ITU601")
    full.pts, full.time_base = 0, Fraction(1, 1)
    packets = [*encoder.encode(full), *encoder.encode(None)]
    units = re.split(rb"\x00\x00\x00?\x01", b"".join(map(bytes, packets)))[1:]
    kinds = [unit[0] >> 1 & 63 for unit in units]
    sets = {kind: unit for kind, unit in zip(kinds, units, strict=True) if kind in (32, 33, 34)}
    coded = [unit for kind, unit in zip(kinds, units, strict=True) if kind < 32]
    arrays = b"".join(struct.pack(">BHH", k, 1, len(u)) + u for k, u in sets.items())
    profile = sets[33][3:15].replace(b"\0\0\3", b"\0\0").ljust(12, b"\0")
    chroma_444, bits_8 = 0xFC | 3, 0xF8
    fixed = struct.pack(">HBBBBHBB", 0xF000, 0xFC, chroma_444, bits_8, bits_8, 0, 0x0F, len(sets))
    record = box(b"hvcC", b"\1", profile, fixed, arrays)
    return record, b"".join(struct.pack(">I", len(unit)) + unit for unit in coded)


def nclx(primaries: int, transfer: int) -> bytes:
    """Colours by numbers; the matrix of BT.601 and full range, as `encode_hevc` writes."""
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, 6, 0x80))


def icc(profile: bytes) -> bytes:
    """Colours by an ICC profile."""
    return box(b"colr", b"prof", profile)


def turned_left(quarters: int) -> bytes:
    """What is stored is to be turned by so many quarters to the left."""
    return box(b"irot", bytes([quarters]))


def write_heic(picture: Picture, tiles: int = 1, properties: Sequence[bytes] = ()) -> bytes:
    """A picture [H, W, 3] as one item, or as a grid of tiles x tiles; `properties` are boxes."""
    height, width = (side // tiles for side in picture.shape[:2])
    rows = [picture[height * i : height * (i + 1)] for i in range(tiles)]
    parts = [row[:, width * i : width * (i + 1)] for row in rows for i in range(tiles)]
    coded = [encode_hevc(np.ascontiguousarray(part)) for part in parts]
    frames = {1 + i: frame for i, (_, frame) in enumerate(coded)}
    grid, primary = (
        struct.pack(">BBBBHH", 0, 0, tiles - 1, tiles - 1, *picture.shape[1::-1]),
        1 if tiles == 1 else 1 + len(frames),
    )
    sizes = [(width, height), picture.shape[1::-1]][:tiles]
    ispe = [full_box(b"ispe", 0, 0, struct.pack(">II", *size)) for size in sizes]
    boxes = [coded[0][0], nclx(1, 13), *ispe, *properties]
    own = [len(boxes) - len(properties) + 1 + i for i in range(len(properties))]
    used = {item: [0x81, 2, 3, *(own if tiles == 1 else [])] for item in frames}
    if tiles > 1:
        used[primary] = [4, *own]
    ftyp = box(b"ftyp", b"heic", bytes(4), b"mif1", b"heic")
    measured = _meta(frames, grid, primary, used, boxes, 0)
    meta = _meta(frames, grid, primary, used, boxes, len(ftyp) + len(measured) + 8)
    return ftyp + meta + box(b"mdat", *frames.values())


def _meta(
    frames: Mapping[int, bytes], grid: bytes, primary: int,
    used: Mapping[int, Sequence[int]], boxes: Sequence[bytes], start: int,
) -> bytes:  # fmt: skip
    """What describes the items, whose bytes begin at `start` of the file."""
    infe, iloc, at = b"", b"", start
    for item in used:
        kind = b"hvc1" if item in frames else b"grid"
        infe += full_box(b"infe", 2, 0, struct.pack(">HH4sB", item, 0, kind, 0))
        length = len(frames.get(item, grid))
        place = (0, at) if item in frames else (1, 0)
        iloc += struct.pack(">HHHHII", item, place[0], 0, 1, place[1], length)
        at += length
    hdlr = full_box(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13))
    pitm = full_box(b"pitm", 0, 0, struct.pack(">H", primary))
    iinf = full_box(b"iinf", 0, 0, struct.pack(">H", len(used)), infe)
    ipma = b"".join(struct.pack(">HB", i, len(own)) + bytes(own) for i, own in used.items())
    associations = full_box(b"ipma", 0, 0, struct.pack(">I", len(used)), ipma)
    iprp = box(b"iprp", box(b"ipco", *boxes), associations)
    places = full_box(b"iloc", 1, 0, struct.pack(">HH", 0x4400, len(used)), iloc)
    parts = [hdlr, pitm, iinf, iprp, places, box(b"idat", grid)]
    if primary not in frames:
        made_of = struct.pack(f">HH{len(frames)}H", primary, len(frames), *frames)
        parts.insert(3, full_box(b"iref", 0, 0, box(b"dimg", made_of)))
    return full_box(b"meta", 0, 0, *parts)
