"""Phones on real sockets: packets in, frames out, and everything that goes wrong in between."""

from __future__ import annotations

import math
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexavatar.drive.performance import (
    SHIPPED_PERFORMANCE,
    read_performance,
)
from flexavatar.drive.protocols import live_link_face, vmc
from flexavatar.drive.signal import Signal
from flexavatar.errors import (
    AvatarNotFoundError,
    InputError,
)
from flexavatar.types import NS_PER_S
from plugin_server.client.frame_reader import FrameReader
from plugin_server.client.phones import Network, find_sent, send_performance
from plugin_server.gateways.config import (
    PORT_OPTIONS,
    GatewayConfig,
    ProtocolName,
    check_gateways,
    guard_of,
)
from plugin_server.gateways.hub import Hub, Sender
from plugin_server.gateways.udp import VmcGateway
from plugin_server.live import HOLD_S, SourceSlot
from plugin_server.server import running_server
from tests import packets
from tests.live import TOLD, Seen, TellingEngine, clip, live_server, seen_of, sending_udp, watching
from tests.service import PATIENCE_S, eventually, local_config, must_receive
from tests.signals import frame_of, signal_of
from tests.test_protocol_fuzz import READERS, mutated

SECONDS = 3.4
JOINED_NS = round(0.7 * NS_PER_S)
"""By then a source has been joined, and v3's schema acknowledged."""


@pytest.fixture(scope="module")
def performance() -> list[Signal]:
    """Four seconds with speech, smiles and blinks."""
    return clip(read_performance(SHIPPED_PERFORMANCE), 0.0, SECONDS)


def watch_while(reader: FrameReader, act: Callable[[], Any]) -> tuple[Any, list[Seen]]:
    """What is seen while something happens, and a little later."""
    results: list[Any] = []
    acting = threading.Thread(target=lambda: results.append(act()))
    acting.start()
    found, ends = [], math.inf
    while time.monotonic() < ends:
        found.append(seen_of(must_receive(reader)))
        if ends == math.inf and not acting.is_alive():
            ends = time.monotonic() + 0.1
    acting.join(PATIENCE_S)
    assert results, "it failed"
    return results[0], found


@pytest.mark.parametrize("protocol", [name for name in PORT_OPTIONS if name != "ifacialmocap-v1"])
def test_the_face_follows_the_phone(
    tmp_path: Path, performance: list[Signal], protocol: ProtocolName
) -> None:
    """60 packets a second, 2% lost, some swapped: frames show what was sent at their time."""
    port: dict[str, Any] = {PORT_OPTIONS[protocol].strip("-").replace("-", "_"): 0}
    network = Network(lose=0.02, reorder=True, seed=1)
    with live_server(tmp_path, **port) as (client, addresses), watching(client) as reader:
        (address,) = addresses.values()
        sent, found = watch_while(
            reader,
            lambda: send_performance(performance, protocol, address, 60, network, "Ann"),
        )
        (gateway,) = client.info().gateways
    assert gateway.frames > 0.85 * len(performance)  # VMC needs two datagrams a frame
    assert gateway.refused == 0
    assert gateway.subject == ("Ann" if protocol == "live-link-face" else "")
    pairs = [(seen, one.signal) for seen in found if (one := find_sent(sent, seen.pts_ns))]
    pairs = [(seen, signal) for seen, signal in pairs if signal.pts_ns > JOINED_NS]
    assert len(pairs) > 60
    for i, name in enumerate(TOLD):
        asked, shown = zip(*((f.weight(name), seen.told[i]) for seen, f in pairs), strict=True)
        assert np.corrcoef(asked, shown)[0, 1] >= 0.95, name
    yaws = [(signal.neck_pose.y, seen.yaw) for seen, signal in pairs]
    asked, shown = zip(*yaws, strict=True)
    assert np.corrcoef(asked, shown)[0, 1] >= 0.95


def lives(idle: list[Seen]) -> bool:
    """Whether it has blinked, and turned by more than pictures round away."""
    return max(seen.told[1] for seen in idle) > 0.8 and np.ptp([seen.yaw for seen in idle]) > 0


def test_a_phone_that_dies_leaves_a_living_face(tmp_path: Path, performance: list[Signal]) -> None:
    frozen = [frame_of(i * NS_PER_S // 60, {"jawOpen": 0.9}, (0.8, 0, 0)) for i in range(40)]
    with live_server(tmp_path, vmc=0) as (client, addresses), watching(client) as reader:
        _, found = watch_while(reader, lambda: send_performance(frozen, "vmc", addresses["vmc"]))
        assert found[-1].told[0] == pytest.approx(0.9, abs=0.02)
        died = time.monotonic()
        while seen_of(must_receive(reader)).told[0] > 0.02:
            assert time.monotonic() - died < 1.0
        idle = [seen_of(must_receive(reader))]
        while len(idle) < 30 or not lives(idle):
            idle.append(seen_of(must_receive(reader)))
            assert time.monotonic() - died < PATIENCE_S
        assert max(abs(seen.yaw) for seen in idle) < 0.1
        times = [seen.pts_ns for seen in idle]
        assert times == sorted({*times})  # the sender's clock runs on
        _, found = watch_while(reader, lambda: send_performance(frozen, "vmc", addresses["vmc"]))
        assert found[-1].told[0] == pytest.approx(0.9, abs=0.02)  # it came back, its clock at 0
        steps = np.abs(np.diff([seen.told[0] for seen in found]))
        assert steps.max() < 0.5


def test_late_packets_are_not_shown(tmp_path: Path) -> None:
    def packet(jaw: float, time_s: float) -> bytes:
        return live_link_face.write(signal_of({"jawOpen": jaw}, pts_ns=round(time_s * NS_PER_S)))

    with live_server(tmp_path, live_link_face=0) as (client, addresses), watching(client):
        with sending_udp(addresses["live-link-face"]) as send:
            for jaw, time_s in ((0.1, 9.0), (0.9, 8.9), (0.2, 9.1), (0.3, 1.0), (0.9, 0.9)):
                send(packet(jaw, time_s))
            send(b"the last")
            eventually(lambda: client.info().gateways[0].refused == 1)
            assert client.info().gateways[0].frames == 3


# ---- who is heard


def test_garbage_is_counted_and_explained(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with live_server(tmp_path, live_link_face=0, vmc=0) as (client, addresses):
        with sending_udp(addresses["live-link-face"]) as send:
            for _ in range(20):
                send(packets.METAHUMAN)
            eventually(lambda: client.info().gateways[0].refused == 20)
            assert "choose ARKit" in client.info().gateways[0].problem
            said = [r for r in caplog.records if "was refused" in r.message]
            assert len(said) == 1  # and not twenty
            send(packets.LIVE_LINK_FACE)
            eventually(lambda: client.info().gateways[0].frames == 1)
        gateway = client.info().gateways[0]
        assert (gateway.problem, gateway.subject) == ("", "Ann’s 12")
        assert gateway.sender == "127.0.0.1"
        assert "live-link-face: Ann’s 12 (127.0.0.1)" in caplog.text


def test_damaged_packets_stop_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What no decoder has seen: thousands of broken datagrams, and the server goes on."""
    ports = dict.fromkeys(
        ("live_link_face", "ifacialmocap", "vmc", "vtube_studio", "openseeface"), 0
    )
    chance = random.Random(0)
    with live_server(tmp_path, **ports) as (client, addresses), watching(client) as reader:
        for source, address in addresses.items():
            _, seeds = READERS[source.replace("-", "_")]
            with sending_udp(address) as send:
                for _ in range(500):
                    send(mutated(chance, seeds)[:1400])
        with sending_udp(addresses["vmc"]) as send:
            before = client.info().gateways[2].frames
            face = vmc.write(signal_of({"jawOpen": 0.5}, pts_ns=NS_PER_S))

            def heard_again() -> bool:
                for packet in face:
                    send(packet)
                return client.info().gateways[2].frames > before

            eventually(heard_again)
        assert sum(g.refused for g in client.info().gateways) > 100  # a flood loses packets
        must_receive(reader)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def voice(sender: str = "a", subject: str = "", source: str = "vmc") -> Sender:
    return Sender(source, sender, subject)


def test_the_first_sender_is_followed_until_it_is_silent() -> None:
    slot = SourceSlot("vmc")
    assert slot.accepts(voice("a"), 0.0)
    assert not slot.accepts(voice("b"), 0.5)
    assert slot.accepts(voice("a"), 0.9)
    assert not slot.accepts(voice("b"), 0.9 + HOLD_S)
    assert slot.accepts(voice("b"), 1.0 + HOLD_S)
    assert not slot.accepts(voice("a"), 1.1 + HOLD_S)
    assert not slot.accepts(voice("b", source="ifacialmocap"), 1.2 + HOLD_S)


def test_a_source_may_be_one_subject() -> None:
    slot = SourceSlot("live-link-face:Ann")
    assert not slot.accepts(voice("a", "Bob", "live-link-face"), 0.0)
    assert slot.accepts(voice("a", "Ann", "live-link-face"), 0.0)


def test_two_people_on_one_gateway(tmp_path: Path) -> None:
    with live_server(tmp_path, show="", live_link_face=0) as (client, addresses):
        source = "live-link-face:{}"
        with (
            client.start_session("ada", 64, 48, name="a", sources=[source.format("Ann")]),
            client.start_session("ada", 64, 48, name="b", sources=[source.format("Bob")]),
            watching(client, "b") as reader,
            sending_udp(addresses["live-link-face"]) as send,
        ):
            until = time.monotonic() + PATIENCE_S
            while seen_of(must_receive(reader)).told[0] < 0.69:
                assert time.monotonic() < until
                for name, jaw in (("Ann", 0.2), ("Bob", 0.7)):
                    send(live_link_face.write(signal_of({"jawOpen": jaw}, subject=name)))
                time.sleep(0.01)


def test_hub_forgets_old_senders() -> None:
    hub = Hub()
    status = hub.add_gateway("vmc")
    for i in range(1000):
        hub.deliver(status, f"sender {i}", signal_of({}))
    assert len(hub._orders) <= 64
    assert status.frames == 1000


@pytest.mark.parametrize(
    ("phone", "bind", "heard", "not_heard"),
    [
        ("", "127.0.0.1", ["127.0.0.1", "::1"], ["192.168.1.23"]),
        ("192.168.1.23", "0.0.0.0", ["192.168.1.23", "127.0.0.1"], ["192.168.1.24", "10.0.0.1"]),
        ("192.168.1.23:5000", "0.0.0.0", ["192.168.1.23"], ["192.168.1.24"]),
        ("127.0.0.1:5000", "127.0.0.1", ["127.0.0.1"], ["192.168.1.23"]),
        ("fe80::1", "::", ["fe80::1%eth0", "::ffff:127.0.0.1"], ["fe80::2"]),
        ("[fe80::1]:5000", "::", ["fe80::1"], ["192.168.1.23"]),
        ("any", "0.0.0.0", ["192.168.1.23", "10.0.0.1"], []),
    ],
)
def test_who_may_send(phone: str, bind: str, heard: list[str], not_heard: list[str]) -> None:
    guard = guard_of(phone)
    assert guard.bind == bind
    assert all(map(guard.allows, heard))
    assert not any(map(guard.allows, not_heard))
    assert guard.phone_port == (5000 if "5000" in phone else None)


def test_strangers_are_not_even_read() -> None:
    hub = Hub()
    gateway = VmcGateway(guard_of("192.168.1.23"), hub)
    for packet in (b"garbage", packets.VMC):
        gateway.datagram_received(packet, ("192.168.1.24", 5000))
    assert (gateway.status.frames, gateway.status.refused) == (0, 0)
    gateway.datagram_received(packets.VMC, ("192.168.1.23", 5000))
    assert (gateway.status.frames, gateway.status.refused) == (1, 0)
    assert gateway.status.sender == Sender("vmc", "192.168.1.23", "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"phone": "my-phone"}, {"phone": "192.168.1.23:0"}, {"phone": "192.168.1.23:x"},
        {"phone": "192.168.1.256"}, {"vmc": -1}, {"live_link_face": 65536},
        {"show": "ada"}, {"vmc": 1, "head_gain": (1, math.nan, 1)},
    ],
)  # fmt: skip
def test_settings_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        check_gateways(GatewayConfig(**wrong))


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        config = local_config(tmp_path, gateways=GatewayConfig(vmc=port))
        with pytest.raises(InputError, match=f"vmc: cannot listen on 127.0.0.1:{port}"):
            with running_server(config, TellingEngine()):
                pass


def test_an_avatar_to_show_that_is_not_there(tmp_path: Path) -> None:
    config = local_config(tmp_path, gateways=GatewayConfig(vmc=0, show="nobody"))
    with pytest.raises(AvatarNotFoundError), running_server(config, TellingEngine()):
        pass
