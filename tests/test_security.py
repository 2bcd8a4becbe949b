"""Who may call: loopback, TLS, tokens, and keys for the frames."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zmq
from grpc_health.v1 import health_pb2, health_pb2_grpc

from flexavatar.cli import USER_ERROR, run
from flexavatar.errors import (
    InputError,
)
from plugin_server.client.client import FlexAvatarClient, ServerUnavailableError
from plugin_server.client.frame_reader import FrameReader
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.server import running_server, serving
from tests.service import PATIENCE_S, PHOTO, TinyEngine, local_config


@pytest.fixture
def engine() -> TinyEngine:
    return TinyEngine()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for this machine, and its key."""
    paths = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-out", str(paths[0]), "-keyout", str(paths[1])]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    try:
        command = ["openssl", "req", "-x509", *kind, *subject, *files]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    except FileNotFoundError:
        pytest.skip("needs the openssl command to make a certificate")
    return paths


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One that no test changes."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("a-token-of-tests\n")
    return path


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "localhost.example.com"])
@pytest.mark.parametrize("field", ["host", "frame_host"])
def test_beyond_loopback_needs_tls_and_a_token(
    tmp_path: Path, engine: TinyEngine, token_file: Path, host: str, field: str
) -> None:
    for extra in ({}, {"token_file": token_file}):
        open_to_all = local_config(tmp_path, **{field: host}, **extra)
        with pytest.raises(InputError, match="beyond loopback expected tls-certificate"):
            with running_server(open_to_all, engine):
                pass


def test_half_a_tls_config(tmp_path: Path, engine: TinyEngine) -> None:
    half = local_config(tmp_path, tls_key=tmp_path / "key.pem")
    with pytest.raises(InputError, match="together"), running_server(half, engine):
        pass
    missing = local_config(
        tmp_path, tls_key=tmp_path / "key.pem", tls_certificate=tmp_path / "certificate.pem"
    )
    with pytest.raises(InputError, match=r"cannot read .*key\.pem"):
        with running_server(missing, engine):
            pass


def test_a_short_token(tmp_path: Path, engine: TinyEngine) -> None:
    for content in ("", "short\n"):
        (tmp_path / "token").write_text(content)
        weak = local_config(tmp_path, token_file=tmp_path / "token")
        with pytest.raises(InputError, match="16 characters"), running_server(weak, engine):
            pass


@pytest.mark.parametrize("token", [None, "wrong", "a-token-of-test", "a-token-of-tests2"])
def test_the_token_is_asked_for(
    tmp_path: Path, engine: TinyEngine, token_file: Path, token: str | None
) -> None:
    config = local_config(tmp_path, token_file=token_file)
    with running_server(config, engine) as listening:
        with FlexAvatarClient(listening.address, token) as client:
            with pytest.raises(ServerUnavailableError, match=r"unauthenticated.*authorization"):
                client.info()
            with pytest.raises(ServerUnavailableError, match="unauthenticated"):
                client.create_avatar([PHOTO])
            probe: Any = health_pb2_grpc.HealthStub(client.channel)  # needs none; untyped
            answer = probe.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with FlexAvatarClient(listening.address, "a-token-of-tests") as client:
            assert client.create_avatar([PHOTO], "ada").name == "ada"


def test_tls_and_encrypted_frames(
    tmp_path: Path, engine: TinyEngine, token_file: Path, certificate: tuple[Path, Path]
) -> None:
    """Beyond loopback all is encrypted, and frames go only to keys that gRPC handed out."""
    config = local_config(
        tmp_path,
        host="0.0.0.0",
        frame_host="0.0.0.0",
        public_host="127.0.0.1",
        tls_certificate=certificate[0],
        tls_key=certificate[1],
        token_file=token_file,
    )
    root = certificate[0].read_bytes()
    with running_server(config, engine) as listening:
        address = listening.address.replace("0.0.0.0", "localhost")
        with FlexAvatarClient(address, "a-token-of-tests", root) as client:
            client.create_avatar([PHOTO], "ada")
            with client.start_session("ada") as session:
                reader = session.reader()
                received = reader.receive(PATIENCE_S)
                reader.close()
                assert received is not None
                assert strangers_get_nothing(session.info)
                with client.start_session("ada", name="other") as other:
                    assert keys_open_one_session(client, session.info, other.info)
        with FlexAvatarClient(address, "a-token-of-tests") as client:
            with pytest.raises(ServerUnavailableError):  # not without TLS
                client.info()


def keys_open_one_session(client: FlexAvatarClient, own: pb.Session, other: pb.Session) -> bool:
    """Neither the owner's keys nor those of a reader who found a session by name."""
    found = client.get_session("other")
    assert found.curve.client_secret_key != other.curve.client_secret_key
    assert hears(found)
    crossed = pb.Session()
    crossed.CopyFrom(other)
    crossed.curve.CopyFrom(own.curve)
    return not hears(crossed)


def hears(session: pb.Session) -> bool:
    """Whether frames come; a session at rest repeats itself every half second."""
    with closing(FrameReader(session)) as reader:
        return reader.receive(2.0) is not None


def strangers_get_nothing(info: pb.Session) -> bool:
    """Neither without keys nor with keys of one's own."""
    plain, own = pb.Session(), pb.Session()
    for copy in (plain, own):
        copy.CopyFrom(info)
    plain.ClearField("curve")
    public, secret = zmq.curve_keypair()
    own.curve.client_public_key, own.curve.client_secret_key = public.decode(), secret.decode()
    found = []
    for stranger in (plain, own):
        reader = FrameReader(stranger)
        found.append(reader.receive(1.0))
        reader.close()
    return found == [None, None]


@pytest.mark.parametrize("content", [None, b"\xff\xfe" * 20, "ein-schlüssel-mit-umlaut".encode()])
def test_a_token_that_cannot_be_read(tmp_path: Path, engine: TinyEngine, content: bytes) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="token"):
        with running_server(local_config(tmp_path, token_file=path), engine):
            pass


def test_the_command_line_gets_in(
    tmp_path: Path,
    engine: TinyEngine,
    token_file: Path,
    certificate: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """To a server with TLS and a token, named or found by its store."""
    config = local_config(
        tmp_path,
        tls_certificate=certificate[0],
        tls_key=certificate[1],
        token_file=token_file,
    )
    keys = ["--token-file", str(token_file), "--root-certificate", str(certificate[0])]
    with running_server(config, engine) as listening:
        with FlexAvatarClient(
            listening.address, "a-token-of-tests", certificate[0].read_bytes()
        ) as client:
            client.create_avatar([PHOTO], "ada")
        for where in (["--server", listening.address], ["--store", str(config.store)]):
            assert run(["list", *where, *keys]) == 0
            assert capsys.readouterr().out.startswith("ada ")
        assert run(["list", "--store", str(config.store)]) == USER_ERROR
        answer = capsys.readouterr().err
        assert f"is in use by the server on {listening.address}" in answer
        assert "see --server, --token-file, --root-certificate" in answer


def shown_certificate(address: str) -> str:
    """What a server answers a handshake with, PEM."""
    host, _, port = address.rpartition(":")
    return ssl.get_server_certificate((host, int(port)), timeout=PATIENCE_S).strip()


def test_a_new_certificate_is_taken_while_it_runs(
    tmp_path: Path, engine: TinyEngine, token_file: Path
) -> None:
    """By gRPC and HTTP; one that cannot be read changes nothing."""
    paths = make_certificate(tmp_path)
    config = local_config(
        tmp_path, tls_certificate=paths[0], tls_key=paths[1], token_file=token_file
    )

    async def renew() -> None:
        async with serving(config, engine) as server:
            http = server.addresses.http_address.removeprefix("https://")
            for address in (server.addresses.address, http):
                shown = await asyncio.to_thread(shown_certificate, address)
                assert shown == paths[0].read_text().strip()
            make_certificate(tmp_path)
            server.reload()
            for address in (server.addresses.address, http):
                shown = await asyncio.to_thread(shown_certificate, address)
                assert shown == paths[0].read_text().strip()
            good = paths[0].read_text().strip()
            paths[0].write_text("no certificate")
            server.reload()
            for address in (server.addresses.address, http):
                assert await asyncio.to_thread(shown_certificate, address) == good

    asyncio.run(renew())
