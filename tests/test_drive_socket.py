"""Drive packets: their bytes, who may send them, and which of them is shown."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import zmq

from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.drive_sender import DriveSender
from plugin_server.client.frame_reader import FrameReader
from plugin_server.client.session import ClientSession
from plugin_server.drive_socket import NewestPacket
from plugin_server.messages.drive_packet import (
    PACKET_BYTES,
    DrivePacket,
    Parts,
    pack_drive,
    unpack_drive,
)
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.server import running_server
from plugin_server.wire import WireError
from tests.make_golden import GOLDEN, drive_packets
from tests.service import (
    PHOTO,
    TinyEngine,
    eventually,
    local_config,
    server_and_client,
    wait_for_pts,
)
from tests.test_security import certificate, token_file  # noqa: F401 - fixtures


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlexAvatarClient]:
    with server_and_client(local_config(tmp_path), TinyEngine()) as (client, _):
        client.create_avatar([PHOTO], "ada")
        client.create_avatar([PHOTO, PHOTO], "bob")
        yield client


@pytest.fixture
def session(client: FlexAvatarClient) -> Iterator[ClientSession]:
    with client.start_session("ada", 32, 32, morph_to="bob") as session:
        yield session


@pytest.fixture
def reader(session: ClientSession) -> Iterator[FrameReader]:
    with closing(session.reader()) as reader:
        yield reader


def push(session: ClientSession, *messages: bytes | list[bytes]) -> None:
    """Send raw messages."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(session.info.drive_address)
        for message in messages:
            socket.send_multipart(message if isinstance(message, list) else [message])
        socket.setsockopt(zmq.LINGER, 2000)


def packet_of(session: ClientSession, jaw: float = 0.0, seq: int = 1) -> DrivePacket:
    """A signal whose time is its number."""
    info = session.info
    weights = (*(0.0,) * 17, jaw, *(0.0,) * 34)
    return DrivePacket(info.session_id, info.owner_token, seq, seq, Parts.ARKIT, weights)


# ---- bytes


@pytest.mark.parametrize("name", sorted(drive_packets()))
def test_golden_packets(name: str) -> None:
    stored = (GOLDEN / f"{name}.bin").read_bytes()
    assert stored == pack_drive(drive_packets()[name])
    assert unpack_drive(stored) == drive_packets()[name]
    assert pack_drive(unpack_drive(stored)) == stored


def test_places_of_the_table() -> None:
    packet = (GOLDEN / "drive_all.bin").read_bytes()
    assert len(packet) == PACKET_BYTES == 336
    assert struct.unpack_from("<I", packet, 56) == (0xFFFFFFFF,)
    assert struct.unpack_from("<f", packet, 72 + 4 * 51) == (0.0,)
    assert struct.unpack_from("<3f", packet, 304) == (0.25, 0.375, 0.5)
    assert struct.unpack_from("<3f", packet, 316) == (15.0, -7.5, 0.25)


BAD = {
    "short": (lambda b: b[:-1], "expected 336 bytes, got 335"),
    "long": (lambda b: b + b"x", "got 337"),
    "empty": (lambda b: b"", "got 0"),
    "magic": (lambda b: b"FLXA" + b[4:], "expected to start with"),
    "version": (lambda b: b[:4] + b"\x02" + b[5:], "expected version 1"),
    "size": (lambda b: b[:60] + b"\0" + b[61:], "expected version 1 with 336"),
    "no parts": (lambda b: b[:6] + b"\0\0" + b[8:], "expected parts within 1 to 15, got 0"),
    "parts": (lambda b: b[:6] + b"\x11" + b[7:], "expected parts within 1 to 15, got 17"),
    "session": (lambda b: b[:8] + b"\xff" + b[9:], "expected ASCII"),
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_packets(name: str) -> None:
    spoil, message = BAD[name]
    with pytest.raises(WireError, match=message):
        unpack_drive(spoil(pack_drive(drive_packets()["drive_all"])))


def test_numbers_wrap() -> None:
    last = NewestPacket(0xFFFFFFFE, 10.0)
    assert [last.is_new(seq, 10.5) for seq in (0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF, 0, 5)] == [
        False, False, True, True, True,
    ]  # fmt: skip
    assert last.is_new(1 << 31, 11.5)  # after a second of silence


# ---- a server


def test_drive_over_zeromq(session: ClientSession, reader: FrameReader) -> None:
    with closing(DriveSender(session.info)) as sender:
        sender.drive({"jawOpen": 0.0}, pts_ns=1)
        before = wait_for_pts(reader, 1).rgba
        sender.drive({"jawOpen": 0.1}, pts_ns=2)
        after = wait_for_pts(reader, 2).rgba
        assert before is not None
        assert after is not None
        moved = int(after[0, 0, 0]) - int(before[0, 0, 0])
        assert abs(moved - 100) <= 1  # mm that 0.1 of the tiny jaw goes up
        sender.drive(orbit=(90, 0), pts_ns=3)
        turned = wait_for_pts(reader, 3).rgba
        assert turned is not None
        assert turned[0, 0, 0] == after[0, 0, 0]  # the face stays
        sender.drive(morph=0.5, pose=(0,) * 6 + (0, 0.05, 0), pts_ns=4)
        wait_for_pts(reader, 4)
    drive = session._client.call("GetServerInfo", pb.GetServerInfoRequest()).drive
    assert (drive.frames, drive.refused, drive.problem) == (4, 0, "")
    assert drive.sender == session.info.session_id


def test_an_unknown_name_is_refused_at_once(session: ClientSession) -> None:
    with closing(DriveSender(session.info)) as sender, pytest.raises(WireError, match="jawopen"):
        sender.drive({"jawopen": 1.0})


def test_what_is_refused_changes_nothing(
    session: ClientSession, reader: FrameReader, client: FlexAvatarClient
) -> None:
    good = packet_of(session, 0.1)
    many = [
        b"",
        pack_drive(good)[:-1],
        [pack_drive(good), b"second part"],
        pack_drive(replace(good, token="x" * 32)),
        pack_drive(replace(good, token="")),
        pack_drive(replace(good, session="0" * 16)),
        pack_drive(replace(good, weights=(2.0,) * 52)),
        pack_drive(replace(good, parts=Parts.ARKIT | Parts.HEAD, weights=(float("nan"),) * 52)),
        pack_drive(replace(good, parts=Parts.MORPH, morph=7.0)),
        pack_drive(replace(good, parts=Parts.ORBIT, orbit=(1e9, 0.0))),
        pack_drive(replace(good, parts=Parts.HEAD, pose=(float("inf"),) * 9)),
    ]
    push(session, *many)
    eventually(lambda: client.info().drive.refused == len(many))
    drive = client.info().drive
    assert drive.frames == 0
    assert drive.problem
    push(session, pack_drive(good))
    assert wait_for_pts(reader, 1).header.pts_ns == 1
    drive = client.info().drive
    assert (drive.frames, drive.problem) == (1, "")


def test_a_message_too_long_hangs_up(
    session: ClientSession, reader: FrameReader, client: FlexAvatarClient
) -> None:
    push(session, bytes(5000))
    push(session, pack_drive(packet_of(session)))
    wait_for_pts(reader, 1)
    assert client.info().drive.refused == 0  # it never came through


def test_late_packets_are_dropped(
    session: ClientSession, reader: FrameReader, client: FlexAvatarClient
) -> None:
    push(session, pack_drive(packet_of(session, seq=50)))
    wait_for_pts(reader, 50)
    late = [pack_drive(packet_of(session, seq=seq)) for seq in (49, 50)]
    push(session, *late, pack_drive(packet_of(session, seq=51)))
    wait_for_pts(reader, 51)
    assert client.info().drive.frames == 2


def test_the_newest_of_a_burst_is_shown(
    session: ClientSession, reader: FrameReader, client: FlexAvatarClient
) -> None:
    view = replace(packet_of(session, seq=150), parts=Parts.ORBIT, orbit=(90.0, 0.0))
    burst = [packet_of(session, seq=seq) for seq in range(1, 301)]
    push(session, *map(pack_drive, [*burst[:149], view, *burst[150:]]))
    assert wait_for_pts(reader, 300).header.pts_ns == 300
    drive = client.info().drive
    assert 2 <= drive.frames <= 300
    assert drive.refused == 0


def test_an_ended_session(client: FlexAvatarClient, session: ClientSession) -> None:
    with client.start_session("bob", 16, 16) as other:
        pass
    push(other, pack_drive(packet_of(other)))
    eventually(lambda: "has ended" in client.info().drive.problem)


def test_a_live_session_takes_packets(client: FlexAvatarClient) -> None:
    with client.start_session("ada", 32, 32, sources=["drive"]) as live:
        with closing(live.reader()) as reader, closing(DriveSender(live.info)) as sender:
            sender.drive({"jawOpen": 0.5}, pts_ns=10**12)
            assert wait_for_pts(reader, 10**12).header.pts_ns >= 10**12


def test_encrypted_packets(
    tmp_path: Path,
    token_file: Path,  # noqa: F811
    certificate: tuple[Path, Path],  # noqa: F811
) -> None:
    """Beyond loopback a packet comes in with the keys of a session alone."""
    config = local_config(
        tmp_path, frame_host="0.0.0.0", public_host="127.0.0.1", token_file=token_file,
        tls_certificate=certificate[0], tls_key=certificate[1],
    )  # fmt: skip
    with running_server(config, TinyEngine()) as listening:
        address = listening.address.replace("127.0.0.1", "localhost")
        root = certificate[0].read_bytes()
        with FlexAvatarClient(address, "a-token-of-tests", root) as client:
            client.create_avatar([PHOTO], "ada")
            with client.start_session("ada", 32, 32) as session:
                bare = pb.Session()
                bare.CopyFrom(session.info)
                bare.ClearField("curve")
                with closing(session.reader()) as reader:
                    with closing(DriveSender(bare)) as stranger:
                        stranger.drive({}, pts_ns=5)
                    with closing(DriveSender(session.info)) as sender:
                        sender.drive({}, pts_ns=6)
                        assert wait_for_pts(reader, 6).header.pts_ns == 6
                assert client.info().drive.frames == 1
