"""Control over gRPC: making avatars, who may call, and an answer to every bad input."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from flexavatar.errors import (
    AssetError,
    AvatarNotFoundError,
    BusyError,
    ConflictError,
    DriveError,
    FlexAvatarError,
    ImageError,
    InputError,
)
from plugin_server.client.client import FlexAvatarClient, ServerUnavailableError
from plugin_server.config import ServerConfig
from plugin_server.errors import STATUS, error_named, status_of
from plugin_server.grpc_server import SERVICE
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub
from plugin_server.server import running_server
from tests.service import PATIENCE_S, PHOTO, TinyEngine, eventually, local_config, server_and_client


@pytest.fixture
def engine() -> TinyEngine:
    return TinyEngine()


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    return local_config(tmp_path, max_upload_mib=2, max_photo_mib=1, upload_timeout_s=1.0)


@pytest.fixture
def client(config: ServerConfig, engine: TinyEngine) -> Iterator[FlexAvatarClient]:
    with server_and_client(config, engine) as (client, _):
        yield client


@pytest.fixture
def stub(client: FlexAvatarClient) -> FlexAvatarStub:
    """The bare calls, for what the client class would never send."""
    return FlexAvatarStub(client.channel)


def refused(call: Callable[[], object]) -> tuple[StatusCode, str]:
    """The code and message of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    assert isinstance(error, grpc.Call)
    return error.code(), error.details() or ""


def header(name: str = "ada") -> pb.CreateAvatarRequest:
    return pb.CreateAvatarRequest(header=pb.CreateAvatarHeader(name=name))


def chunk(photo: int, data: bytes = PHOTO) -> pb.CreateAvatarRequest:
    return pb.CreateAvatarRequest(chunk=pb.PhotoChunk(photo=photo, data=data))


def upload(stub: FlexAvatarStub, *requests: pb.CreateAvatarRequest) -> list[object]:
    return list(stub.CreateAvatar(iter(requests), timeout=PATIENCE_S))


def no_leftovers(config: ServerConfig) -> bool:
    return not any((config.store / ".staging").iterdir())


# ---- making avatars


def test_create_get_list_delete(client: FlexAvatarClient) -> None:
    heard: list[float] = []
    made = client.create_avatar(
        [PHOTO, PHOTO], "ada", progress=lambda stage, share: heard.append(share)
    )
    assert (made.name, made.photos, made.gaussians) == ("ada", 2, 600)
    assert made.metrics["seed"] == 2
    assert heard == sorted(heard)
    assert client.get_avatar("ada") == made
    other = client.create_avatar([PHOTO])
    assert re.fullmatch(r"avatar-[0-9a-f]{8}", other.name)
    assert [a.name for a in client.list_avatars()] == ["ada", other.name]
    client.delete_avatar("ada")
    with pytest.raises(AvatarNotFoundError, match="no avatar 'ada'"):
        client.get_avatar("ada")


def test_unary_twin(stub: FlexAvatarStub) -> None:
    request = pb.CreateAvatarOnceRequest(header=header("ada").header, photos=[PHOTO])
    assert stub.CreateAvatarOnce(request, timeout=PATIENCE_S).name == "ada"
    request.header.name = "bob"
    request.photos.extend([b"bad"] * 16)
    code, message = refused(lambda: stub.CreateAvatarOnce(request, timeout=PATIENCE_S))
    assert (code, message) == (StatusCode.INVALID_ARGUMENT, "photos: expected 1 to 16, got 17")


def test_avatars_outlive_the_server(config: ServerConfig, engine: TinyEngine) -> None:
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
    with server_and_client(config, engine) as (client, _):
        assert client.get_avatar("ada").gaussians == 600


def test_progress_comes_every_second(client: FlexAvatarClient, engine: TinyEngine) -> None:
    engine.gate.clear()
    heard: list[float] = [time.monotonic()]

    def progress(stage: str, fraction: float) -> None:
        heard.append(time.monotonic())
        if heard[-1] - heard[0] > 2:
            engine.gate.set()

    client.create_avatar([PHOTO], "ada", progress=progress)
    assert max(b - a for a, b in pairwise(heard)) < 1.0


def test_replacing(client: FlexAvatarClient) -> None:
    client.create_avatar([PHOTO], "ada")
    with pytest.raises(ConflictError, match="exists already"):
        client.create_avatar([PHOTO], "ada")
    assert client.create_avatar([PHOTO, PHOTO], "ada", replace=True).photos == 2
    assert client.get_avatar("ada").photos == 2


UPLOADS: list[tuple[list[pb.CreateAvatarRequest], StatusCode, str]] = [
    ([], StatusCode.INVALID_ARGUMENT, "expected a header as the first message"),
    ([chunk(0)], StatusCode.INVALID_ARGUMENT, "expected a header as the first message"),
    ([header()], StatusCode.INVALID_ARGUMENT, "expected 1 to 16, got none"),
    ([header(), header()], StatusCode.INVALID_ARGUMENT, "expected a chunk after the header"),
    ([header(), chunk(1)], StatusCode.INVALID_ARGUMENT, "expected photo 0 next, got 1"),
    (
        [header(), chunk(0, b"")],
        StatusCode.INVALID_ARGUMENT,
        "photo 0: expected an image or video file",
    ),
    ([header(), chunk(0), chunk(1, b"bad")], StatusCode.INVALID_ARGUMENT, "photo 1: not a pic"),
    (
        [header(), *(chunk(i) for i in range(17))],
        StatusCode.INVALID_ARGUMENT,
        "expected 1 to 16, got more",
    ),
    (
        [header(), chunk(0, bytes(1 << 20)), chunk(0, b"1")],
        StatusCode.RESOURCE_EXHAUSTED,
        "expected 1 MiB at most",
    ),
    (
        [header(), *(chunk(i, bytes(1 << 20)) for i in range(3))],
        StatusCode.RESOURCE_EXHAUSTED,
        "expected 2 MiB together",
    ),
    ([header("../ada"), chunk(0)], StatusCode.INVALID_ARGUMENT, "avatar name"),
    ([header("Ada B"), chunk(0)], StatusCode.INVALID_ARGUMENT, "avatar name"),
]


@pytest.mark.parametrize(("requests", "code", "message"), UPLOADS)
def test_bad_uploads(
    stub: FlexAvatarStub,
    config: ServerConfig,
    requests: list[pb.CreateAvatarRequest],
    code: StatusCode,
    message: str,
) -> None:
    found = refused(lambda: upload(stub, *requests))
    assert found[0] is code
    assert message in found[1]
    assert no_leftovers(config)
    assert upload(stub, header(), chunk(0))  # the name and the seat are free again


def test_a_message_beyond_the_limit(stub: FlexAvatarStub) -> None:
    request = pb.CreateAvatarOnceRequest(photos=[bytes(3 << 20)])  # the limit is 2 + 1 MiB
    code, message = refused(lambda: stub.CreateAvatarOnce(request, timeout=PATIENCE_S))
    assert code is StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in message


def test_an_unknown_quality(stub: FlexAvatarStub) -> None:
    header = pb.CreateAvatarHeader(quality=9)  # pyright: ignore[reportArgumentType]: no such one
    bad = pb.CreateAvatarRequest(header=header)
    assert refused(lambda: upload(stub, bad))[0] is StatusCode.INVALID_ARGUMENT


def test_an_upload_that_stalls(stub: FlexAvatarStub) -> None:
    finished = threading.Event()

    def stalling() -> Iterator[pb.CreateAvatarRequest]:
        yield header()
        finished.wait(PATIENCE_S)

    answers = stub.CreateAvatar(stalling(), timeout=PATIENCE_S)
    code, message = refused(lambda: list(answers))
    finished.set()
    assert (code, message) == (StatusCode.DEADLINE_EXCEEDED, "upload: nothing came for 1 s")


def test_too_many_creations(
    client: FlexAvatarClient, stub: FlexAvatarStub, engine: TinyEngine
) -> None:
    """One is being made and two wait: the fourth is refused, until there is room."""
    engine.gate.clear()
    calls = [stub.CreateAvatar(iter([header(n), chunk(0)])) for n in ("a", "b", "c")]
    eventually(lambda: client.info().creations == 3)
    with pytest.raises(BusyError, match="1 being made and 2 waiting is the limit"):
        client.create_avatar([PHOTO], "d")
    assert engine.creating == 1
    engine.gate.set()
    for call in calls:
        list(call)
    client.create_avatar([PHOTO], "d")
    assert [a.name for a in client.list_avatars()] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("waiting", [False, True])
def test_hanging_up_leaves_nothing(
    client: FlexAvatarClient,
    stub: FlexAvatarStub,
    engine: TinyEngine,
    config: ServerConfig,
    waiting: bool,
) -> None:
    engine.gate.clear()
    first = stub.CreateAvatar(iter([header("ada"), chunk(0)]))
    eventually(lambda: engine.creating == 1)
    if waiting:
        second = stub.CreateAvatar(iter([header("bob"), chunk(0)]))
        eventually(lambda: client.info().creations == 2)
        second.cancel()
        eventually(lambda: client.info().creations == 1)
    first.cancel()
    eventually(lambda: client.info().creations == 0 and engine.creating == 0)
    engine.gate.set()
    assert list(client.list_avatars()) == []
    assert no_leftovers(config)
    client.create_avatar([PHOTO], "ada")
    client.create_avatar([PHOTO], "bob")


def test_stopping_the_server_cancels_creations(config: ServerConfig, engine: TinyEngine) -> None:
    engine.gate.clear()
    with server_and_client(config, engine) as (client, _):
        call = FlexAvatarStub(client.channel).CreateAvatar(iter([header(), chunk(0)]))
        eventually(lambda: engine.creating == 1)
    assert refused(lambda: list(call))[0] in (StatusCode.UNAVAILABLE, StatusCode.CANCELLED)
    assert engine.creating == 0
    assert no_leftovers(config)


@pytest.mark.parametrize("call", ["GetAvatar", "DeleteAvatar"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nobody", StatusCode.NOT_FOUND),
        ("../../etc", StatusCode.INVALID_ARGUMENT),
        (".staging", StatusCode.INVALID_ARGUMENT),
        ("", StatusCode.INVALID_ARGUMENT),
    ],
)
def test_avatars_that_are_not_there(
    stub: FlexAvatarStub, call: str, name: str, code: StatusCode
) -> None:
    request = getattr(pb, f"{call}Request")(name=name)
    assert refused(lambda: getattr(stub, call)(request, timeout=PATIENCE_S))[0] is code


def test_a_damaged_avatar(client: FlexAvatarClient, config: ServerConfig) -> None:
    client.create_avatar([PHOTO], "ada")
    (config.store / "ada/manifest.json").write_text("{")
    with pytest.raises(AssetError, match=r"manifest\.json is damaged"):
        client.start_session("ada")


# ---- the server itself


def test_info_tells_the_limits(client: FlexAvatarClient) -> None:
    info = client.info()
    assert info.limits.photos == 16
    assert info.limits.upload_bytes == 2 << 20
    assert info.limits.message_bytes == 3 << 20
    assert info.limits.video_seconds == 600
    assert info.device == "test"
    assert info.frame_address.startswith("tcp://127.0.0.1:")


def test_health(client: FlexAvatarClient) -> None:
    stub: Any = health_pb2_grpc.HealthStub(client.channel)  # its methods have no types
    for name in ("", SERVICE):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=PATIENCE_S)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection(client: FlexAvatarClient) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(client.channel)  # as above
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([ask]), timeout=PATIENCE_S)
    names = {s.name for s in answer.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names


def test_a_second_server_on_the_store_or_port(
    config: ServerConfig, engine: TinyEngine, tmp_path: Path
) -> None:
    with running_server(config, engine) as listening:
        with pytest.raises(ConflictError, match="another server"), running_server(config, engine):
            pass
        grpc_port, frame_port = (
            int(a.rsplit(":", 1)[1]) for a in (listening.address, listening.frame_address)
        )
        taken = local_config(tmp_path / "b", port=grpc_port)
        with pytest.raises(InputError, match="cannot listen"), running_server(taken, engine):
            pass
        taken = local_config(tmp_path / "c", frame_port=frame_port)
        with pytest.raises(InputError, match="cannot open ZeroMQ"), running_server(taken, engine):
            pass


def test_no_server() -> None:
    with FlexAvatarClient("127.0.0.1:9") as client, pytest.raises(ServerUnavailableError):
        client.info()


def test_every_error_has_a_code_and_a_way_back() -> None:
    for kind in (*STATUS, ImageError, DriveError):
        assert status_of(kind("x")) is not StatusCode.INTERNAL
        assert type(error_named(kind.__name__, "x")) is kind
    assert status_of(ImageError("x")) is StatusCode.INVALID_ARGUMENT
    assert status_of(FlexAvatarError("x")) is StatusCode.INTERNAL
    assert type(error_named("OfALaterVersionError", "x")) is FlexAvatarError


# ---- settings


BAD_SETTINGS: list[tuple[str, float]] = [
    ("port", -1), ("port", 65536), ("frame_port", 70000), ("max_photos", 0), ("max_photos", 17),
    ("max_photo_mib", 0), ("max_video_mib", 0), ("max_upload_mib", 2047),
    ("max_width", 8), ("max_width", 4097),
    ("max_height", 100_000), ("max_sessions", 0), ("creations_running", 0),
    ("creations_waiting", -1), ("max_sessions_per_client", -1), ("upload_timeout_s", 0),
    ("idle_timeout_s", math.nan), ("idle_timeout_s", math.inf),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS)
def test_bad_settings_are_refused_at_start(
    tmp_path: Path, engine: TinyEngine, name: str, value: float
) -> None:
    config = local_config(tmp_path, **{name: value})
    with pytest.raises(InputError, match=f"^{name.replace('_', '-')}: expected .*, got"):
        with running_server(config, engine):
            pass
    assert not config.store.exists()


def test_a_photo_that_is_not_there(client: FlexAvatarClient, tmp_path: Path) -> None:
    absent = tmp_path / "absent.jpg"
    with pytest.raises(ImageError, match=r"absent\.jpg: expected a photo or video: No such file"):
        client.create_avatar([PHOTO, absent], "ada")
    absent.write_bytes(PHOTO)
    assert client.create_avatar([PHOTO, absent], "ada").photos == 2
