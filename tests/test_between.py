"""Which model makes an avatar, and avatars between two, as a client asks for them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
from grpc import StatusCode

from flexavatar.errors import ConflictError, InputError
from plugin_server.client.client import FlexAvatarClient
from plugin_server.config import ServerConfig
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub
from tests.service import PATIENCE_S, PHOTO, TinyEngine, eventually, server_and_client
from tests.test_server import chunk, header, no_leftovers, refused


@pytest.fixture
def client(config: ServerConfig, engine: TinyEngine) -> Iterator[FlexAvatarClient]:
    """Of a server without avatars."""
    with server_and_client(config, engine) as (client, _):
        yield client


@pytest.fixture
def stub(client: FlexAvatarClient) -> FlexAvatarStub:
    """The bare calls."""
    return FlexAvatarStub(client.channel)


def test_the_model_is_a_choice(client: FlexAvatarClient, stub: FlexAvatarStub) -> None:
    assert client.create_avatar([PHOTO], "ada").model == pb.MODEL_QUERY_LRM
    assert client.create_avatar([PHOTO], "bob", model="fit").model == pb.MODEL_FIT
    assert [a.model for a in client.list_avatars()] == [pb.MODEL_QUERY_LRM, pb.MODEL_FIT]
    complaint = "model: expected query_lrm or fit, which this server has, got bias_sink"
    with pytest.raises(InputError, match=complaint):
        client.create_avatar([PHOTO], "eve", model="bias_sink")
    with pytest.raises(InputError, match="expected one of query_lrm, bias_sink, fit, got 'p'"):
        client.create_avatar([PHOTO], "eve", model="p")
    unknown = pb.CreateAvatarHeader(name="eve", model=9)  # pyright: ignore[reportArgumentType]: no such model
    request = pb.CreateAvatarOnceRequest(header=unknown, photos=[PHOTO])
    code, message = refused(lambda: stub.CreateAvatarOnce(request, timeout=PATIENCE_S))
    assert code is StatusCode.INVALID_ARGUMENT
    assert message.endswith("got 9")


def test_the_avatar_between_two(client: FlexAvatarClient) -> None:
    client.create_avatar([PHOTO], "ada")
    client.create_avatar([PHOTO] * 3, "bob")
    made = client.interpolate_avatars("ada", "bob", 0.25, "eve")
    assert (made.name, made.photos, made.gaussians) == ("eve", 4, 600)
    assert made.metrics["share"] == 0.25
    assert client.get_avatar("eve") == made
    with pytest.raises(ConflictError, match="exists already"):
        client.interpolate_avatars("ada", "bob", 0.5, "eve")
    assert client.interpolate_avatars("eve", "bob", 0.5, "eve", replace=True).photos == 7
    named = client.interpolate_avatars("ada", "ada", 0.5).name
    assert re.fullmatch(r"avatar-[0-9a-f]{8}", named)


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        ({"share": 1.5}, StatusCode.INVALID_ARGUMENT, "share: expected 0 to 1, got 1.5"),
        ({"share": math.nan}, StatusCode.INVALID_ARGUMENT, "share: expected 0 to 1, got nan"),
        ({"b": "nobody"}, StatusCode.NOT_FOUND, "no avatar 'nobody'"),
        ({"a": ""}, StatusCode.INVALID_ARGUMENT, "avatar name: expected"),
        ({"name": "../eve"}, StatusCode.INVALID_ARGUMENT, "avatar name: expected"),
        ({"name": "ada"}, StatusCode.ALREADY_EXISTS, "exists already"),
    ],
)
def test_nothing_between(
    client: FlexAvatarClient,
    stub: FlexAvatarStub,
    config: ServerConfig,
    request_: dict[str, object],
    code: StatusCode,
    message: str,
) -> None:
    client.create_avatar([PHOTO], "ada")
    whole = {"a": "ada", "b": "ada", "share": 0.5, "name": "eve", **request_}
    request = pb.InterpolateAvatarsRequest(**whole)
    found = refused(lambda: stub.InterpolateAvatars(request, timeout=PATIENCE_S))
    assert found[0] is code
    assert message in found[1]
    assert no_leftovers(config)
    assert [a.name for a in client.list_avatars()] == ["ada"]


def test_nobody_waits_for_a_creation_to_interpolate(
    client: FlexAvatarClient, stub: FlexAvatarStub, engine: TinyEngine
) -> None:
    client.create_avatar([PHOTO], "ada")
    engine.gate.clear()
    call = stub.CreateAvatar(iter([header("bob"), chunk(0)]))
    eventually(lambda: engine.creating == 1)
    assert client.interpolate_avatars("ada", "ada", 0.5, "eve").name == "eve"
    engine.gate.set()
    list(call)
