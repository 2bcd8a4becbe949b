"""Damaged packets: every reader refuses them with DriveError and nothing else, and keeps nothing.

`FLEXAVATAR_FUZZ=200000 python -m pytest tests/test_protocol_fuzz.py` tries that many a reader.
"""

from __future__ import annotations

import gc
import os
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from flexavatar.drive.protocols import (
    fmv3,
    ifacialmocap,
    live_link_face,
    openseeface,
    vmc,
    vtube_studio,
)
from flexavatar.drive.protocols.fmv3 import Fmv3Reader
from flexavatar.drive.protocols.vmc import VmcReader
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES
from tests import packets
from tests.signals import signal_of

PACKETS = int(os.environ.get("FLEXAVATAR_FUZZ", "20000"))
GROWTH = 1 << 16
"""Bytes that Python's own caches may grow by; a kept packet a thousand would be more."""
FACE = signal_of(dict.fromkeys(ARKIT_NAMES, 0.5), (0.1, 0.2, 0.3), 10**10, subject="Ann")

Read = Callable[[bytes], object]


def ifacialmocap_gateway() -> Read:
    """Text and v3 come in on one port."""
    reader = Fmv3Reader()

    def read(packet: bytes) -> object:
        is_v3 = packet.startswith(fmv3.MAGIC)
        reader.answer()
        return reader.read(packet) if is_v3 else ifacialmocap.read(packet)

    return read


READERS: dict[str, tuple[Callable[[], Read], Sequence[bytes]]] = {
    "live_link_face": (
        lambda: live_link_face.read,
        (
            packets.LIVE_LINK_FACE,
            packets.LIVE_LINK_FACE_UNSEEN,
            packets.METAHUMAN,
            live_link_face.write(FACE),
        ),
    ),
    "ifacialmocap": (
        ifacialmocap_gateway,
        (
            packets.IFACIALMOCAP_V1,
            packets.IFACIALMOCAP_V2,
            packets.fmv3_schema(),
            packets.fmv3_schema(3, 4),
            packets.FMV3_FRAME,
            packets.fmv3(9, b"BUSY"),
            *fmv3.write_schema(packets.FMV3_SESSION, 1),
            *fmv3.write_frame(FACE, packets.FMV3_SESSION, 1, 8),
        ),
    ),
    "vmc": (
        lambda: VmcReader().read,
        (packets.VMC, packets.bundle(packets.VMC_LOST, packets.VMC_PRESET), *vmc.write(FACE)),
    ),
    "vtube_studio": (
        lambda: vtube_studio.read,
        (packets.VTUBE_STUDIO, vtube_studio.write(FACE)),
    ),
    "openseeface": (
        lambda: openseeface.read,
        (packets.OPENSEEFACE, 2 * packets.OPENSEEFACE, openseeface.write(FACE)),
    ),
}


def mutated(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A packet with a few bytes changed, cut out, put in twice, or taken from another."""
    packet = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(0, 6)):
        at = chance.randrange(len(packet) + 1)
        to = at + chance.randint(0, 32)
        match chance.randrange(5):
            case 0:
                packet[at : at + 1] = chance.randbytes(1)
            case 1:
                packet[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
            case 2:
                del packet[at:to]
            case 3:
                packet[at:at] = packet[at:to]
            case 4:
                other = chance.choice(seeds)
                packet[at:] = other[chance.randrange(len(other)) :]
    return bytes(packet)


@pytest.mark.parametrize("name", [*READERS])
def test_damaged_packets(name: str) -> None:
    make, seeds = READERS[name]
    chance, read, outcomes = random.Random(name), make(), Counter[str]()

    def feed(count: int) -> int:
        for _ in range(count):
            packet = mutated(chance, seeds)
            try:
                outcomes[type(read(packet)).__name__] += 1
            except DriveError:
                outcomes["refused"] += 1
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = feed(PACKETS // 4)
        after = feed(PACKETS - PACKETS // 4)
    finally:
        tracemalloc.stop()
    print(name, dict(outcomes), f"{after - before} bytes more")
    assert after - before < GROWTH
    assert outcomes["refused"] > PACKETS / 10
    assert outcomes["Signal"] > PACKETS / 50  # and some still make sense


@pytest.mark.parametrize("name", [*READERS])
def test_noise(name: str) -> None:
    make, _ = READERS[name]
    chance, read = random.Random(0), make()
    for _ in range(2000):
        with pytest.raises(DriveError):
            read(chance.randbytes(chance.randrange(400)))


def test_parts_of_endless_messages_are_not_kept() -> None:
    """What one phone can make a reader hold is one schema and one frame."""
    reader = Fmv3Reader()
    tracemalloc.start()
    try:
        for sequence in range(3000):
            part = fmv3.Header(2, 0, 7, sequence + 1, 0, 200_000, 0, 4, 50_000)
            reader.read(part.pack() + bytes(50_000))
        assert tracemalloc.get_traced_memory()[0] < 1 << 20
    finally:
        tracemalloc.stop()
    parts = [fmv3.Header(2, 0, 7, 1, 0, 60_000, i, 4, 50_000) for i in range(2)]
    reader.read(parts[0].pack() + bytes(50_000))
    with pytest.raises(DriveError, match="expected parts of 60000 bytes"):
        reader.read(parts[1].pack() + bytes(50_000))
