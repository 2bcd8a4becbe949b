"""Settings of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from flexavatar.errors import InputError
from plugin_server.gateways.config import GatewayConfig, check_gateways

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MEBIBYTE = 1 << 20
SMALLEST_SIDE = 16


@dataclass(frozen=True)
class ServerConfig:
    """One server: gRPC and HTTP for control, ZeroMQ for frames and drive packets.

    Every option can be a variable of the environment as well: FLEXAVATAR_HTTP_PORT is --http-port.
    """

    store: Path = Path.home() / ".local" / "share" / "flexavatar" / "avatars"
    """Folder of the avatars, one folder each."""
    host: str = "127.0.0.1"
    """Address that gRPC and HTTP listen on. Anything but loopback needs TLS and a token."""
    port: int = 50051
    """Port of gRPC; 0 picks a free one."""
    http_port: int = 50052
    """Port of the same calls over HTTP/1.1, for engines; 0 picks a free one."""
    frame_host: str = "127.0.0.1"
    """Address that ZeroMQ listens on. Anything but loopback is encrypted with CURVE."""
    frame_port: int = 5556
    """Port of frames; 0 picks a free one."""
    drive_port: int = 5557
    """Port of drive packets; 0 picks a free one."""
    public_host: str = ""
    """Name that clients elsewhere reach frame_host by, if it is a wildcard such as 0.0.0.0."""
    tls_certificate: Path | None = None
    """Certificate chain, PEM."""
    tls_key: Path | None = None
    """Private key of the certificate, PEM."""
    token_file: Path | None = None
    """File whose first line every client must send as `authorization: Bearer ...`."""
    driver_token_file: Path | None = None
    """File with a second token, which may see and drive avatars, but not make or delete them."""
    device: str = "auto"
    """cpu, cuda, cuda:0 ...; auto takes a GPU if there is one."""
    max_photos: int = 16
    """Photos and videos of one avatar."""
    max_photo_mib: int = 32
    """Size of one photo's file."""
    max_video_mib: int = 128
    """Size of one video's file."""
    max_upload_mib: int = 160
    """Size of all photos and videos of one avatar together."""
    max_width: int = 4096
    """Widest picture of a session."""
    max_height: int = 4096
    """Highest picture of a session."""
    worker: int = 0
    """Its number among the servers behind a router, 1 to 255: sessions' ids begin with it."""
    max_sessions: int = 16
    """Sessions at once."""
    max_sessions_per_client: int = 0
    """Sessions at once of one client, which is one machine's address; 0: as many as there are."""
    max_load: float = 0.0
    """How much of the renderer's time sessions may ask for together: their frames' time times
    their rate. With 1 all get the frames that they ask for; with 0 all are let in, and share."""
    creations_running: int = 1
    """Avatars made at once."""
    creation_ready: bool = True
    """Keep a process that has loaded what creations take, some 600 MB: a preview is there three
    seconds after the photo instead of ten."""
    creations_waiting: int = 2
    """Creations that may wait for their turn; one more is refused."""
    max_creations_per_client: int = 0
    """Avatars that one client has made or waiting at once; 0: as many as there are."""
    max_avatars_per_client: int = 0
    """Avatars in the store that one client has made; 0: any number."""
    upload_timeout_s: float = 30.0
    """An upload that sends nothing for this long is given up, and one that comes slower than
    128 KiB/s once it is twice as much behind."""
    idle_timeout_s: float = 300.0
    """A session that is not driven for this long ends."""
    drain_s: float = 20.0
    """Told to end by SIGTERM, the server gives what runs so long to finish."""
    log_json: bool = False
    """Logs as JSON, one object a line."""
    max_audio_s: float = 60.0
    """Sound that may wait to be shown, of one session."""
    gateways: GatewayConfig = field(default_factory=GatewayConfig)

    @property
    def message_bytes(self) -> int:
        """Largest gRPC message to the server: a whole upload in one, and a little around it."""
        return (self.max_upload_mib + 1) * MEBIBYTE

    @property
    def is_local(self) -> bool:
        """Whether gRPC and HTTP can be reached from this machine only."""
        return self.host in LOOPBACK

    @property
    def frames_are_local(self) -> bool:
        """Whether ZeroMQ can be reached from this machine only."""
        return self.frame_host in LOOPBACK


LONGEST_S = 7 * 86400.0
RANGES: dict[str, tuple[float, float]] = {
    "port": (0, 65535),
    "http_port": (0, 65535),
    "frame_port": (0, 65535),
    "drive_port": (0, 65535),
    "max_photo_mib": (1, 1024),
    "max_video_mib": (1, 1024),
    "max_upload_mib": (1, 2046),  # a message and a little more: gRPC counts to 2^31
    "worker": (0, 255),
    "max_sessions": (1, 1024),
    "max_sessions_per_client": (0, 1024),
    "max_creations_per_client": (0, 1024),
    "max_avatars_per_client": (0, 1 << 20),
    "max_load": (0.0, 1000.0),
    "creations_running": (1, 64),
    "creations_waiting": (0, 1024),
    "upload_timeout_s": (0.1, LONGEST_S),
    "idle_timeout_s": (0.1, LONGEST_S),
    "drain_s": (0.0, LONGEST_S),
    "max_audio_s": (1.0, 3600.0),
}
"""Smallest and largest value of the settings that do not depend on the model."""


def _check_ranges(config: ServerConfig) -> None:
    """Raise InputError for a number that no server can run with."""
    # late: torch takes seconds, and --help needs none
    from flexavatar.capture.read_portraits import MAX_PHOTOS
    from flexavatar.render.camera import MAX_SIDE

    side = (SMALLEST_SIDE, MAX_SIDE)
    model = {"max_photos": (1, MAX_PHOTOS), "max_width": side, "max_height": side}
    for name, (low, high) in {**RANGES, **model}.items():
        value = getattr(config, name)
        if not low <= value <= high:  # also false for NaN
            option = name.replace("_", "-")
            raise InputError(f"{option}: expected {low:g} to {high:g}, got {value:g}")


ENVIRONMENT = "FLEXAVATAR_"
TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def environment_options(
    environment: Mapping[str, str], given: Sequence[str], gateways: str = ""
) -> list[str]:
    """Options of `serve` from variables: FLEXAVATAR_HTTP_PORT is --http-port. What is given wins.

    `gateways` is what their options' names begin with. Raises InputError for a switch that is
    neither on nor off.
    """
    options: list[str] = []
    settings = [("", setting) for setting in fields(ServerConfig)]
    settings += [(gateways, setting) for setting in fields(GatewayConfig)]
    for owner, setting in settings:
        value = environment.get(ENVIRONMENT + setting.name.upper())
        name = "--" + (owner + setting.name).replace("_", "-")
        stated = (word.partition("=")[0].replace("_", "-") for word in given)
        if value is None or {name, name.replace("--", "--no-", 1)} & {*stated}:
            continue
        if setting.type == "bool":
            options.append(_switch(setting.name, name, value.lower()))
        else:
            options += [name, *(value.split() if "tuple" in str(setting.type) else [value])]
    return options


def _switch(setting: str, option: str, value: str) -> str:
    if value not in (*TRUE, *FALSE):
        expected = f"expected {TRUE[0]} or {FALSE[0]}, got {value!r:.40}"
        raise InputError(f"{ENVIRONMENT}{setting.upper()}: {expected}")
    return option if value in TRUE else option.replace("--", "--no-", 1)


def check_config(config: ServerConfig) -> None:
    """Raise InputError for a server that must not start."""
    _check_ranges(config)
    check_gateways(config.gateways)
    if (config.tls_certificate is None) != (config.tls_key is None):
        raise InputError("TLS: expected tls-certificate and tls-key together, got one of them")
    if config.driver_token_file is not None and config.token_file is None:
        raise InputError("driver-token-file: expected a token-file as well")
    secured = config.tls_certificate is not None and config.token_file is not None
    if not secured and not (config.is_local and config.frames_are_local):
        raise InputError(
            f"listening on {config.host} and {config.frame_host}: beyond loopback expected"
            " tls-certificate, tls-key and token-file, without them only loopback is allowed"
        )
    if config.frame_host in ("0.0.0.0", "::", "*") and not config.public_host:
        raise InputError(
            f"frame-host {config.frame_host}: expected a public-host that clients can connect to"
        )


def read_token(path: Path | None) -> str | None:
    """The token in a file's first line, None without a file. Raises InputError."""
    if path is None:
        return None
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise InputError(f"token: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"token in {path}: expected text, got other bytes") from error
    token = lines[0].strip() if lines else ""
    if len(token) < 16 or not (token.isascii() and token.isprintable()):
        raise InputError(f"token in {path}: expected 16 characters or more, plain ASCII")
    return token
