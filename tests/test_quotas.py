"""How much of a server one client may have."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from grpc import RpcError, StatusCode

from plugin_server.client.client import FlexAvatarClient
from plugin_server.errors import QuotaError
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub
from plugin_server.quotas import client_of
from plugin_server.server import running_server
from tests.service import PATIENCE_S, PHOTO, TinyEngine, eventually, local_config, server_and_client


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("ipv4:10.0.0.7:4321", "10.0.0.7"),
        ("http:10.0.0.7:99", "10.0.0.7"),
        ("ipv6:%5B::ffff:10.0.0.7%5D:4321", "10.0.0.7"),
        ("ipv6:%5B2001:db8:1:2:aaaa::1%5D:4321", "2001:0db8:0001:0002::/64"),
        ("http:2001:db8:1:2:bbbb::1:80", "2001:0db8:0001:0002::/64"),
        ("unix:", ""),
    ],
)
def test_a_client_is_a_machine(peer: str, client: str) -> None:
    assert client_of(SimpleNamespace(peer=lambda: peer)) == client


def test_sessions_of_one_client(tmp_path: Path) -> None:
    config = local_config(tmp_path, max_sessions_per_client=1)
    with server_and_client(config, TinyEngine()) as (client, listening):
        client.create_avatar([PHOTO], "ada")
        with client.start_session("ada"), FlexAvatarClient(listening.address) as again:
            with pytest.raises(QuotaError, match=r"max-sessions-per-client.* 1 sessions"):
                again.start_session("ada")
            assert start_over_http(listening.http_address) == 429
        eventually(lambda: client.info().sessions == 0)
        with client.start_session("ada"):
            pass


def start_over_http(address: str) -> int:
    """The status of a session that is asked for over HTTP, from the same machine."""
    with closing(http.client.HTTPConnection(address.removeprefix("http://"))) as line:
        body, kind = json.dumps({"avatar": "ada"}), {"Content-Type": "application/json"}
        line.request("POST", "/flexavatar.v1.FlexAvatar/StartSession", body, kind)
        answer = line.getresponse()
        assert answer.headers["Retry-After"] is None  # waiting does not help
        return answer.status


def test_creations_of_one_client(tmp_path: Path) -> None:
    engine = TinyEngine()
    engine.gate.clear()
    config = local_config(tmp_path, max_creations_per_client=1)
    with server_and_client(config, engine) as (client, _):
        request = pb.CreateAvatarOnceRequest(photos=[PHOTO])
        first = FlexAvatarStub(client.channel).CreateAvatarOnce.future(request)
        eventually(lambda: client.info().creations == 1)
        with pytest.raises(QuotaError, match=r"max-creations-per-client"):
            client.create_avatar([PHOTO], "bob")
        engine.gate.set()
        assert first.result(PATIENCE_S).gaussians > 0
        eventually(lambda: client.info().creations == 0)
        assert client.create_avatar([PHOTO], "bob").name == "bob"


def test_avatars_of_one_client(tmp_path: Path) -> None:
    """Also of a server that started anew; those that it made before it had a quota, too."""
    with server_and_client(local_config(tmp_path), TinyEngine()) as (client, _):
        client.create_avatar([PHOTO], "ada")
    config = local_config(tmp_path, max_avatars_per_client=2)
    with running_server(config, TinyEngine()) as listening:
        with FlexAvatarClient(listening.address) as client:
            client.create_avatar([PHOTO], "bob")
            with pytest.raises(QuotaError, match=r"max-avatars-per-client.* 2 avatars"):
                client.create_avatar([PHOTO], "cleo")
            with pytest.raises(RpcError) as refusal:
                FlexAvatarStub(client.channel).InterpolateAvatars(
                    pb.InterpolateAvatarsRequest(a="ada", b="bob", name="cleo")
                )
            assert refusal.value.code() is StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
            client.create_avatar([PHOTO], "bob", replace=True)
            client.delete_avatar("ada")
            assert client.create_avatar([PHOTO], "cleo").name == "cleo"
    record = (config.store / "cleo" / "record.json").read_text()
    assert "127.0.0.1" not in record
