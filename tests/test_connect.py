"""The calls over HTTP: JSON and protobuf, the same errors, the same door, and its limits."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flexavatar.errors import InputError
from plugin_server.client.frame_reader import FrameReader
from plugin_server.config import ServerConfig
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.server import ServerAddresses, running_server
from tests.service import PATIENCE_S, PHOTO, TinyEngine, local_config, must_receive, wait_for_pts
from tests.test_security import certificate, token_file  # noqa: F401 - fixtures

PHOTO64 = base64.b64encode(PHOTO).decode()
TOKEN = {"Authorization": "Bearer a-token-of-tests"}


@pytest.fixture
def engine() -> TinyEngine:
    return TinyEngine()


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    return local_config(tmp_path, max_upload_mib=1, max_photo_mib=1)


@pytest.fixture
def server(config: ServerConfig, engine: TinyEngine) -> Iterator[ServerAddresses]:
    with running_server(config, engine) as listening:
        yield listening


def connection(server: ServerAddresses) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.http_address).netloc, timeout=PATIENCE_S)


def post(
    server: ServerAddresses, call: str, body: bytes, kind: str = "application/json", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body of one call."""
    with closing(connection(server)) as line:
        path = f"/flexavatar.v1.FlexAvatar/{call}"
        line.request("POST", path, body, {"Content-Type": kind, **headers})
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read()


def ask(server: ServerAddresses, call: str, status: int = 200, **fields: Any) -> dict[str, Any]:
    """One call in JSON."""
    got, _, body = post(server, call, json.dumps(fields).encode())
    assert got == status, body
    return json.loads(body)


def create(server: ServerAddresses, name: str, status: int = 200) -> dict[str, Any]:
    return ask(server, "CreateAvatarOnce", status, header={"name": name}, photos=[PHOTO64])


def session_of(answer: dict[str, Any]) -> pb.Session:
    """What JSON says of a session, as a reader wants it."""
    return pb.Session(
        session_id=answer["sessionId"],
        owner_token=answer["ownerToken"],
        frame_address=answer["frameAddress"],
        topic=base64.b64decode(answer["topic"]),
        kinds=answer["kinds"],
        drive_address=answer["driveAddress"],
    )


def test_from_a_photo_to_frames(server: ServerAddresses) -> None:
    avatar = create(server, "ada")
    assert avatar["gaussians"] == 600
    assert [a["name"] for a in ask(server, "ListAvatars")["avatars"]] == ["ada"]
    answer = ask(server, "StartSession", avatar="ada", width=32, height=16)
    session = session_of(answer)
    assert len(session.topic) == 24
    own: dict[str, Any] = {"sessionId": session.session_id, "ownerToken": session.owner_token}
    with closing(FrameReader(session)) as reader:
        must_receive(reader)
        weights = {"weights": {"jawOpen": 0.5}}
        ask(server, "DriveOnce", **own, ptsNs="77", arkit=weights)
        assert wait_for_pts(reader, 77).header.width == 32
    assert ask(server, "EndSession", **own)["frames"] >= 1


def test_protobuf_bodies(server: ServerAddresses) -> None:
    create(server, "ada")
    request = pb.GetAvatarRequest(name="ada").SerializeToString()
    status, headers, body = post(server, "GetAvatar", request, "application/proto")
    assert (status, headers["content-type"]) == (200, "application/proto")
    assert pb.Avatar.FromString(body).gaussians == 600


@pytest.mark.parametrize(
    ("call", "fields", "status", "code", "name", "message"),
    [
        ("GetAvatar", {"name": "nobody"}, 404, "not_found", "AvatarNotFoundError", "nobody"),
        ("GetAvatar", {"name": "../.."}, 400, "invalid_argument", "InputError", "expected"),
        ("StartSession", {"avatar": "ada", "width": 8}, 400, "invalid_argument", "InputError",
         "width: expected 16 to 4096, got 8"),
        ("CreateAvatarOnce", {"header": {"name": "ada"}, "photos": [PHOTO64]}, 409,
         "already_exists", "ConflictError", "ada"),
        ("CreateAvatarOnce", {"photos": [base64.b64encode(b"bad").decode()]}, 400,
         "invalid_argument", "ImageError", "photo 0: not a picture"),
        ("DriveOnce", {"sessionId": "0" * 16}, 404, "not_found", "SessionNotFoundError", "0000"),
    ],
)  # fmt: skip
def test_errors_are_grpcs(
    server: ServerAddresses,
    call: str,
    fields: dict[str, Any],
    status: int,
    code: str,
    name: str,
    message: str,
) -> None:
    create(server, "ada")
    got, headers, body = post(server, call, json.dumps(fields).encode())
    answer = json.loads(body)
    assert (got, answer["code"], headers["trailer-flexavatar-error"]) == (status, code, name)
    assert message in answer["message"]


def test_a_wrong_owner(server: ServerAddresses) -> None:
    create(server, "ada")
    session = ask(server, "StartSession", avatar="ada")["sessionId"]
    for call in ("DriveOnce", "EndSession"):
        answer = ask(server, call, 403, sessionId=session, ownerToken="wrong")
        assert answer["code"] == "permission_denied"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"name": 5}', b"\xff\xfe", b'{"name":' * 2000]
)
def test_bodies_that_are_not_the_message(server: ServerAddresses, body: bytes) -> None:
    status, _, answer = post(server, "GetAvatar", body)
    assert (status, json.loads(answer)["code"]) == (400, "invalid_argument")


def test_what_is_not_a_call(server: ServerAddresses) -> None:
    assert post(server, "Drive", b"{}")[0] == 404  # streams both ways: gRPC's alone
    assert post(server, "Nothing", b"{}")[0] == 404
    assert post(server, "ListAvatars", b"{}", "text/plain")[0] == 415
    with closing(connection(server)) as line:
        line.request("GET", "/flexavatar.v1.FlexAvatar/ListAvatars?encoding=json&message=%7B%7D")
        assert line.getresponse().status == 405


def test_too_large(server: ServerAddresses) -> None:
    body = json.dumps({"photos": [PHOTO64], "header": {"name": "a" * (3 << 20)}}).encode()
    status, _, answer = post(server, "CreateAvatarOnce", body)
    assert (status, json.loads(answer)["code"]) == (429, "resource_exhausted")
    big = base64.b64encode(bytes((1 << 20) + 1)).decode()
    answer = ask(server, "CreateAvatarOnce", 429, photos=[big])
    assert answer["code"] == "resource_exhausted"
    assert create(server, "ada")["name"] == "ada"


def test_an_upload_that_stops(tmp_path: Path, engine: TinyEngine) -> None:
    config = local_config(tmp_path, upload_timeout_s=0.2)
    with running_server(config, engine) as listening:
        host, _, port = urlsplit(listening.http_address).netloc.partition(":")
        with socket.create_connection((host, int(port)), PATIENCE_S) as line:
            line.sendall(
                b"POST /flexavatar.v1.FlexAvatar/CreateAvatarOnce HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
            )
            answer = http.client.HTTPResponse(line)
            answer.begin()
            assert answer.status == 504
            assert json.loads(answer.read())["message"] == "upload: nothing came for 0.2 s"


def enveloped(message: pb.CreateAvatarRequest) -> bytes:
    data = message.SerializeToString()
    return struct.pack(">BI", 0, len(data)) + data


def test_creation_streams_its_progress(server: ServerAddresses) -> None:
    header = pb.CreateAvatarRequest(header=pb.CreateAvatarHeader(name="ada"))
    photo = pb.CreateAvatarRequest(chunk=pb.PhotoChunk(photo=0, data=PHOTO))
    body = enveloped(header) + enveloped(photo)
    status, _, data = post(server, "CreateAvatar", body, "application/connect+proto")
    assert status == 200
    answers = []
    while data:
        flags, size = struct.unpack_from(">BI", data)
        answers.append((flags, data[5 : 5 + size]))
        data = data[5 + size :]
    messages = [pb.CreateAvatarResponse.FromString(part) for _, part in answers[:-1]]
    assert messages[0].WhichOneof("part") == "progress"
    assert messages[-1].avatar.name == "ada"
    assert answers[-1][0] == 2  # the end of the stream
    assert "error" not in json.loads(answers[-1][1])


def test_a_client_that_hangs_up_leaves_no_avatar(
    server: ServerAddresses, engine: TinyEngine
) -> None:
    engine.gate.clear()
    body = json.dumps({"header": {"name": "ada"}, "photos": [PHOTO64]}).encode()
    with closing(connection(server)) as line:
        kind = {"Content-Type": "application/json"}
        line.request("POST", "/flexavatar.v1.FlexAvatar/CreateAvatarOnce", body, kind)
        deadline = time.monotonic() + PATIENCE_S
        while not engine.creating and time.monotonic() < deadline:
            time.sleep(0.01)
    while engine.creating and time.monotonic() < deadline:
        time.sleep(0.01)
    engine.gate.set()
    assert not engine.creating
    assert ask(server, "ListAvatars") == {}


def test_the_token(tmp_path: Path, engine: TinyEngine, token_file: Path) -> None:  # noqa: F811
    config = local_config(tmp_path, token_file=token_file)
    with running_server(config, engine) as server:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            status, _, body = post(server, "ListAvatars", b"{}", **headers)
            answer = json.loads(body)
            assert (status, answer["code"]) == (401, "unauthenticated")
            assert "authorization: Bearer" in answer["message"]
        assert post(server, "ListAvatars", b"{}", **TOKEN, Origin="http://a.page")[0] == 200


def test_pages_of_a_browser_may_not_call(server: ServerAddresses) -> None:
    """Whoever visits a page would else give it the avatars on their machine."""
    status, _, body = post(server, "ListAvatars", b"{}", Origin="http://a.page")
    assert (status, json.loads(body)["code"]) == (403, "permission_denied")


def test_tls(
    tmp_path: Path,
    engine: TinyEngine,
    token_file: Path,  # noqa: F811
    certificate: tuple[Path, Path],  # noqa: F811
) -> None:
    config = local_config(
        tmp_path, tls_certificate=certificate[0], tls_key=certificate[1], token_file=token_file
    )
    with running_server(config, engine) as server:
        assert server.http_address.startswith("https://")
        trust = ssl.create_default_context(cafile=str(certificate[0]))
        port = int(server.http_address.rsplit(":", 1)[1])
        line = http.client.HTTPSConnection("localhost", port, timeout=PATIENCE_S, context=trust)
        with closing(line):
            headers = {"Content-Type": "application/json", **TOKEN}
            line.request("POST", "/flexavatar.v1.FlexAvatar/GetServerInfo", b"{}", headers)
            assert line.getresponse().status == 200


def test_a_port_that_is_taken(server: ServerAddresses, engine: TinyEngine, tmp_path: Path) -> None:
    http_port = int(server.http_address.rsplit(":", 1)[1])
    drive_port = int(server.drive_address.rsplit(":", 1)[1])
    for ports in ({"http_port": http_port}, {"drive_port": drive_port}):
        taken = local_config(tmp_path / "b", **ports)
        with pytest.raises(InputError, match="cannot"), running_server(taken, engine):
            pass
