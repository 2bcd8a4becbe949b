"""Phones that want to be asked, phones that connect, and the command that plays one."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flexavatar.cli import USER_ERROR, run
from flexavatar.drive.performance import (
    SHIPPED_PERFORMANCE,
    read_performance,
    write_performance,
)
from flexavatar.drive.protocols import ifacialmocap, vtube_studio
from flexavatar.types import NS_PER_S
from plugin_server.client.phones import Network, repeat
from plugin_server.gateways.udp import tcp_port_is_open
from tests import packets
from tests.live import live_server
from tests.service import PATIENCE_S, eventually
from tests.signals import frame_of, signal_of

# ---- phones that want to be asked


@contextmanager
def phone_socket() -> Iterator[tuple[socket.socket, str]]:
    """The phone's end, and its address for `phone`."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as line:
        line.bind(("127.0.0.1", 0))
        line.settimeout(PATIENCE_S)
        yield line, f"127.0.0.1:{line.getsockname()[1]}"


def test_vtube_studio_is_asked_again_and_again(tmp_path: Path) -> None:
    with (
        phone_socket() as (line, phone),
        live_server(tmp_path, vtube_studio=0, phone=phone) as (
            client,
            addresses,
        ),
    ):
        for _ in range(2):
            asked, receiver = line.recvfrom(1024)
            (port,) = json.loads(asked)["ports"]
            assert addresses["vtube-studio"] == f"127.0.0.1:{port}"
            line.sendto(vtube_studio.write(signal_of({"jawOpen": 0.5}, pts_ns=NS_PER_S)), receiver)
        eventually(lambda: client.info().gateways[0].frames == 2)


@pytest.mark.parametrize("version", [1, 2])
def test_ifacialmocap_is_asked_while_it_is_silent(tmp_path: Path, version: int) -> None:
    with (
        phone_socket() as (line, phone),
        live_server(tmp_path, ifacialmocap=0, ifacialmocap_version=version, phone=phone) as (
            client,
            _,
        ),
    ):
        asked, receiver = line.recvfrom(1024)
        assert asked == ifacialmocap.request(version, tcp=False)
        line.sendto(ifacialmocap.write(signal_of({"jawOpen": 0.5}), version), receiver)
        eventually(lambda: client.info().gateways[0].frames == 1)


def test_ifacialmocap_v3_is_asked_in_both_revisions(tmp_path: Path) -> None:
    with (
        phone_socket() as (line, phone),
        live_server(tmp_path, ifacialmocap=0, ifacialmocap_version=3, phone=phone) as (client, _),
    ):
        hellos = [line.recv(1024) for _ in range(2)]
        assert {hello[44] for hello in hellos} == {4, 5}
        asked = next(hello for hello in hellos if hello[44] == 4)
        nonce = int.from_bytes(asked[8:16], "little")
        _, receiver = line.recvfrom(1024)
        line.sendto(packets.fmv3_schema(3, 4, nonce), receiver)
        while (answer := line.recv(1024))[4] == 1:  # more hellos
            pass
        assert answer[4] == 10
        line.sendto(packets.FMV3_FRAME, receiver)
        eventually(lambda: client.info().gateways[0].frames == 1)
        eventually(lambda: line.recv(1024)[4] == 6)  # pings, though no new frame comes


def test_ifacialmocap_is_asked_to_connect(tmp_path: Path) -> None:
    with (
        phone_socket() as (line, phone),
        live_server(tmp_path, ifacialmocap_tcp=0, phone=phone) as (client, addresses),
    ):
        assert line.recv(1024) == ifacialmocap.request(2, tcp=True)
        host, _, port = addresses["ifacialmocap"].rpartition(":")
        with closing(socket.create_connection((host, int(port)))) as talk:
            talk.sendall(packets.IFACIALMOCAP_V2 + b"___iFacialMocap" + packets.IFACIALMOCAP_V2)
            talk.sendall(b"___iFacialMocap")
            eventually(lambda: client.info().gateways[0].frames == 2)


def test_v3_over_tcp(tmp_path: Path) -> None:
    with live_server(tmp_path, ifacialmocap_tcp=0) as (client, addresses):
        host, _, port = addresses["ifacialmocap"].rpartition(":")
        with closing(socket.create_connection((host, int(port)))) as talk:
            stream = packets.fmv3_schema() + packets.FMV3_FRAME
            for i in range(0, len(stream), 50):
                talk.sendall(stream[i : i + 50])
            eventually(lambda: client.info().gateways[0].frames == 1)


@pytest.mark.parametrize("junk", [b"x" * 100_000, b"x" * 10 + b"___iFacialMocap", b"FMV3" * 20])
def test_junk_over_tcp_is_hung_up_on(tmp_path: Path, junk: bytes) -> None:
    with live_server(tmp_path, ifacialmocap_tcp=0) as (client, addresses):
        host, _, port = addresses["ifacialmocap"].rpartition(":")
        with closing(socket.create_connection((host, int(port)))) as talk:
            talk.settimeout(PATIENCE_S)
            talk.sendall(junk)
            try:
                assert talk.recv(1) == b""
            except ConnectionResetError:
                pass  # it was hung up on before it was read to the end
        eventually(lambda: client.info().gateways[0].refused == 1)


def test_a_bad_frame_over_tcp_does_not_hang_up_on_a_phone(tmp_path: Path) -> None:
    with live_server(tmp_path, ifacialmocap_tcp=0) as (client, addresses):
        host, _, port = addresses["ifacialmocap"].rpartition(":")
        with closing(socket.create_connection((host, int(port)))) as talk:
            for frame in (packets.IFACIALMOCAP_V2, b"nothing", b"1|=|", packets.IFACIALMOCAP_V1):
                talk.sendall(frame + b"___iFacialMocap")
            eventually(lambda: client.info().gateways[0].frames == 2)
            assert client.info().gateways[0].refused == 2


def test_few_connections_at_once(tmp_path: Path) -> None:
    with live_server(tmp_path, ifacialmocap_tcp=0) as (client, addresses):
        host, _, port = addresses["ifacialmocap"].rpartition(":")
        talks = [socket.create_connection((host, int(port))) for _ in range(4)]
        for talk in talks:
            talk.sendall(packets.IFACIALMOCAP_V2 + b"___iFacialMocap")
        eventually(lambda: client.info().gateways[0].frames == 4)
        with closing(socket.create_connection((host, int(port)))) as fifth:
            fifth.settimeout(PATIENCE_S)
            assert fifth.recv(1) == b""
        for talk in talks:
            talk.close()


def test_metahuman_mode_is_looked_for() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as app:
        port = app.getsockname()[1]
        assert asyncio.run(tcp_port_is_open("127.0.0.1", port))
    assert not asyncio.run(tcp_port_is_open("127.0.0.1", port))


# ---- the command


def test_send_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take = tmp_path / "take.csv"
    write_performance(take, [frame_of(i * NS_PER_S // 60, {}, (0, 0, 0)) for i in range(6)])
    with live_server(tmp_path, live_link_face=0) as (client, addresses):
        command = ["send", "--protocol", "live-link-face", "--from", str(take), "--repeat", "2"]
        assert run([*command, "--to", addresses["live-link-face"], "--subject", "Bob"]) == 0
        eventually(lambda: client.info().gateways[0].frames >= 11)  # timecodes are rounded
        assert client.info().gateways[0].subject == "Bob"
    assert "frames to 127.0.0.1:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong", [["--to", "nowhere"], ["--to", "127.0.0.1:0"], ["--to", "127.0.0.1:9", "--lose", "1"]]
)
def test_send_command_refuses(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["send", "--protocol", "vmc", *wrong]) == USER_ERROR
    assert "expected" in capsys.readouterr().err


@pytest.mark.parametrize("protocol", ["vmc", "ifacialmocap-v3", "ifacialmocap-tcp"])
def test_send_says_that_nobody_listens(
    protocol: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take = tmp_path / "take.csv"
    write_performance(take, [frame_of(i * NS_PER_S // 60, {}, (0, 0, 0)) for i in range(90)])
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ["send", "--protocol", protocol, "--from", str(take), "--to", address]
    assert run(command) == USER_ERROR
    said = capsys.readouterr()
    assert f"nobody listens on {address}: start flexavatar serve" in said.err
    assert "sent" not in said.out


def test_a_network_loses_and_swaps() -> None:
    numbers = [bytes([i]) for i in range(200)]
    assert [*Network().deliver(iter(numbers))] == numbers
    kept = [*Network(lose=0.1, seed=1).deliver(iter(numbers))]
    assert 160 <= len(kept) < 200
    assert kept == sorted(kept)
    swapped = [*Network(reorder=True, seed=1).deliver(iter(numbers))]
    assert swapped != numbers
    places = {number: i for i, number in enumerate(swapped)}
    assert all(abs(places.get(number, i) - i) <= 1 for i, number in enumerate(numbers))


def test_repeating_a_performance() -> None:
    performance = read_performance(SHIPPED_PERFORMANCE)
    twice = repeat(performance, 2)
    assert len(twice) == 2 * len(performance)
    times = [frame.pts_ns for frame in twice]
    assert times == sorted({*times})
