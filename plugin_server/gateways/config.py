"""Settings of the gateways, and which senders they let in."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from flexavatar.drive.profile import USUAL_PROFILE, Profile, parse_gains
from flexavatar.errors import InputError

ProtocolName = Literal[
    "live-link-face", "ifacialmocap", "ifacialmocap-v1", "ifacialmocap-v3", "ifacialmocap-tcp",
    "vmc", "vtube-studio", "openseeface",
]  # fmt: skip
"""Protocols that `flexavatar send` can speak."""
PORT_OPTIONS: dict[ProtocolName, str] = {
    "live-link-face": "--live-link-face",
    "ifacialmocap": "--ifacialmocap",
    "ifacialmocap-v1": "--ifacialmocap",
    "ifacialmocap-v3": "--ifacialmocap",
    "ifacialmocap-tcp": "--ifacialmocap-tcp",
    "vmc": "--vmc",
    "vtube-studio": "--vtube-studio",
    "openseeface": "--openseeface",
}
"""The server's option that opens the gateway of a protocol."""

ANY = "any"
IPV4_LOOPBACK, IPV4_ALL, IPV6_ALL = "127.0.0.1", "0.0.0.0", "::"


@dataclass(frozen=True)
class GatewayConfig:
    """Capture apps that may drive avatars. A port of 0 picks a free one."""

    live_link_face: int | None = None
    """UDP port for Live Link Face in ARKit mode; the app's default is 11111."""
    ifacialmocap: int | None = None
    """UDP port for iFacialMocap and Facemotion3d; the apps send to 49983."""
    ifacialmocap_tcp: int | None = None
    """TCP port for the same; the apps connect to 49986."""
    ifacialmocap_version: Literal[1, 2, 3] = 2
    """What a phone is asked for: text, text with values below 0, or binary. All are understood."""
    vmc: int | None = None
    """UDP port for VMC senders (VSeeFace, Warudo, ...); the usual one is 39539."""
    vtube_studio: int | None = None
    """UDP port for VTube Studio on a phone, and MeowFace. They must be asked: see phone."""
    openseeface: int | None = None
    """UDP port for OpenSeeFace, a tracker for webcams; it sends to 11573."""
    phone: str = ""
    """Address of the phone, for example 192.168.1.23. UDP has no password: without this only this
    machine is listened to, with it that phone too. iFacialMocap and VTube Studio are asked to send.
    host:port asks another port than the app's own; "any" listens to everybody in the network."""
    show: str = ""
    """Avatar to show from the start, driven by all gateways; the session has the avatar's name."""
    calibrate: bool = False
    """Take the first two seconds of each app as the face at rest, of whoever drives the avatar that
    is shown: look ahead, at ease. It is kept with the avatar, and used from then on."""
    gain: tuple[str, ...] | None = None
    """What weights are multiplied with, such as jawOpen=1.4 eyeBlinkLeft=0.8. This and the next two
    are kept with the avatar that is shown, and used until others are given."""
    smoothing: float | None = None
    """How much is smoothed, in what is usual, 0.1..10."""
    mirror: Literal["yes", "no"] | None = None
    """Whether left and right change places."""
    record: Path | None = None
    """Folder to write what every app sends to, as .csv that `flexavatar drive --from` plays."""
    show_width: int = 512
    """Pixels."""
    show_height: int = 512
    """Pixels."""
    head_gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """How much of the head's yaw, pitch and roll is followed; -1 turns the other way."""

    def profile(self, kept: Profile) -> Profile:
        """The profile that is kept, with what is given in its place. Raises DriveError."""
        return Profile(
            kept.gains if self.gain is None else parse_gains(self.gain),
            kept.smoothing if self.smoothing is None else self.smoothing,
            kept.mirror if self.mirror is None else self.mirror == "yes",
        )

    @property
    def ports(self) -> dict[str, int]:
        """Ports of the gateways that are to be opened, by option."""
        apps = {option.removeprefix("--").replace("-", "_") for option in PORT_OPTIONS.values()}
        named = [setting.name for setting in fields(self) if setting.name in apps]
        found = {name: getattr(self, name) for name in named}
        return {name: port for name, port in found.items() if port is not None}


@dataclass(frozen=True)
class Guard:
    """Where to listen, and whose packets are let in."""

    bind: str
    """Address to listen on."""
    phone: str
    """The phone's address, empty if none is set."""
    phone_port: int | None
    """Port to ask it on, None for the app's own."""
    anybody: bool
    """Whether every address is let in."""

    def allows(self, host: str) -> bool:
        """Whether packets from an address are let in; from this machine they always are."""
        address = _plain(host)
        allowed = self.anybody or address.is_loopback
        return allowed or (bool(self.phone) and address == _plain(self.phone))


def _plain(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address without its scope; one of IPv4 in IPv6's notation as IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def guard_of(phone: str) -> Guard:
    """The guard that the option `phone` asks for. Raises InputError."""
    if phone in ("", ANY):
        return Guard(IPV4_ALL if phone else IPV4_LOOPBACK, "", None, bool(phone))
    host, port = phone, None
    if phone.count(":") == 1 or phone.startswith("["):
        host, _, digits = phone.rpartition(":")
        host, port = host.strip("[]"), int(digits) if digits.isdecimal() else -1
    try:
        address = _plain(host)
    except ValueError:
        address = None
    if address is None or (port is not None and not 0 < port < 65536):
        raise InputError(f"phone: expected an address such as 192.168.1.23, or any, got {phone!r}")
    if address.is_loopback:
        return Guard(host, host, port, False)
    return Guard(IPV4_ALL if address.version == 4 else IPV6_ALL, host, port, False)


def check_gateways(config: GatewayConfig) -> None:
    """Raise InputError for gateways that must not or cannot run."""
    for name, port in config.ports.items():
        if not 0 <= port <= 65535:
            raise InputError(f"{name.replace('_', '-')}: expected 0 to 65535, got {port}")
    guard_of(config.phone)
    config.profile(USUAL_PROFILE)
    if config.show and not config.ports:
        raise InputError("show: expected a gateway too, such as live-link-face 11111")
    if not all(-4 <= gain <= 4 for gain in config.head_gain):
        raise InputError(f"head-gain: expected three of -4 to 4, got {config.head_gain}")
