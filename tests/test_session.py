"""Driving and watching: newest wins, nobody waits for anybody, every end is told."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import torch
import zmq
from grpc import StatusCode

from flexavatar.errors import (
    AvatarNotFoundError,
    BusyError,
    ConflictError,
    DriveError,
    InputError,
    SessionNotFoundError,
)
from plugin_server import wire
from plugin_server.client import ClientSession, FlexAvatarClient
from plugin_server.config import ServerConfig
from plugin_server.latest import Latest
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub
from plugin_server.reader import FrameReader, Received
from plugin_server.status import OwnerError
from plugin_server.wire import Flags, Kind
from tests.service import (
    PATIENCE_S,
    PHOTO,
    TinyAvatar,
    TinyEngine,
    TinyPuppet,
    eventually,
    local_config,
    server_and_client,
)

RGBA8, JPEG = pb.STREAM_KIND_RGBA8, pb.STREAM_KIND_JPEG
DEPTH, SPLATS = pb.STREAM_KIND_DEPTH, pb.STREAM_KIND_SPLATS


@pytest.fixture
def engine() -> TinyEngine:
    return TinyEngine()


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    return local_config(tmp_path, max_sessions=3, max_width=2048, max_height=1024)


@pytest.fixture
def client(config: ServerConfig, engine: TinyEngine) -> Iterator[FlexAvatarClient]:
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        yield client


@pytest.fixture
def session(client: FlexAvatarClient) -> Iterator[ClientSession]:
    with client.start_session("ada", 64, 48) as session:
        yield session


def must_receive(reader: FrameReader, timeout: float = PATIENCE_S) -> Received:
    received = reader.receive(timeout)
    assert received is not None, "nothing came"
    return received


def wait_for_pts(reader: FrameReader, pts_ns: int) -> Received:
    """The first message of this signal or a later one."""
    while (received := must_receive(reader)).header.pts_ns < pts_ns:
        pass
    return received


def drive_until_refused(session: ClientSession, *arguments: Any, **parts: Any) -> None:
    """Drive over and over: the stream's answer to a signal comes with a later call."""

    def refused() -> bool:
        session.drive(*arguments, **parts)
        return False

    eventually(refused)


# ---- the mailbox


def test_latest_keeps_the_newest() -> None:
    mailbox: Latest[int] = Latest()
    assert mailbox.take() is None
    for value in (1, 2, 3):
        mailbox.put(value)
    assert (mailbox.take(), mailbox.take()) == (3, None)
    assert (mailbox.received, mailbox.replaced) == (3, 2)


def test_latest_wakes_its_reader() -> None:
    mailbox: Latest[int] = Latest()
    threading.Timer(0.05, mailbox.put, (7,)).start()
    assert mailbox.take(PATIENCE_S) == 7


# ---- drive -> frame


def test_a_signal_becomes_its_frame(session: ClientSession) -> None:
    rest = TinyPuppet(TinyAvatar(1)).gaussians.means[0, 1]
    with closing(session.reader()) as reader:
        for number in (1, 2, 3):
            session.drive({"jawOpen": number / 10}, pts_ns=number)
            received = wait_for_pts(reader, number)
            assert received.rgba is not None
            assert received.rgba.shape == (48, 64, 4)
            assert received.rgba[0, 0, 0] == int(1000 * (rest + np.float32(number / 10))) % 256
            assert received.header.flags == 0


def test_unary_twin_drives_too(session: ClientSession) -> None:
    with closing(session.reader()) as reader:
        answer = session.drive_once({"jawOpen": 0.5}, pts_ns=5)
        assert answer.received == 1
        assert wait_for_pts(reader, 5).header.pts_ns == 5
        assert session.drive_once(pts_ns=6).pts_ns == 5


def test_every_kind_of_one_frame(client: FlexAvatarClient) -> None:
    kinds = (RGBA8, JPEG, DEPTH, SPLATS)
    with client.start_session("ada", 64, 48, kinds) as session, closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=9)
        first = wait_for_pts(reader, 9)
        found = {first.header.kind: first}
        while len(found) < 4:
            received = must_receive(reader)
            found[received.header.kind] = received
        assert found[Kind.JPEG].rgb is not None
        depth = found[Kind.DEPTH].depth
        assert depth is not None
        assert (depth[0, 0], depth[47, 63]) == (0.0, 1.0)
        splats = next(r.gaussians for k, r in found.items() if k in wire.SPLATS)
        assert splats is not None
        expected = TinyPuppet(TinyAvatar(1)).gaussians.means
        # a step of float16 below 0.25 m; the second half does not move
        torch.testing.assert_close(splats.means[300:], expected[300:], rtol=0, atol=2**-13)


def test_flame_codes_head_and_camera(session: ClientSession) -> None:
    with closing(session.reader()) as reader:
        flame = pb.FlameCodes(jaw_pose=[0.05, 0, 0], expression=[1.0] * 30, correctives=[0.0] * 4)
        session.drive(flame=flame, head=pb.HeadPose(transl=[0, 0.02, 0]), pts_ns=1)
        driven = wait_for_pts(reader, 1).rgba
        rest = TinyPuppet(TinyAvatar(1)).gaussians.means[0, 1]
        assert driven is not None
        assert driven[0, 0, 0] == int(1000 * (rest + np.float32(0.07))) % 256
        viewmat = [1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0.2, 0, 0, 0, 1]
        pinhole = pb.PinholeCamera(viewmat=viewmat, K=[100, 0, 32, 0, 100, 24, 0, 0, 1])
        session.drive(camera=pb.Camera(pinhole=pinhole), pts_ns=2)  # the face stays as it was
        nearer = wait_for_pts(reader, 2).rgba
        assert nearer is not None
        assert (nearer[0, 0, 0], nearer[0, 0, 1]) == (driven[0, 0, 0], 200)


def test_an_orbit_is_what_the_session_says(client: FlexAvatarClient) -> None:
    """From straight above, the camera's forward axis points down the head's y."""
    orbit = pb.Camera(orbit=pb.Orbit(pitch_deg=90))
    with client.start_session("ada", camera=orbit) as session:
        viewmat = np.array(session.info.camera.viewmat).reshape(4, 4)
        np.testing.assert_allclose(viewmat[2, :3], (0, -1, 0), atol=1e-6)  # float32
        # a pixel in the middle stays in the middle
        assert session.info.camera.K[2] == session.info.width / 2


def test_newest_wins(client: FlexAvatarClient) -> None:
    """Far more signals than frames: frames show the newest, in order, and the last is shown."""
    with client.start_session("ada", 64, 48, max_fps=20) as session:
        with closing(session.reader()) as reader:
            must_receive(reader)
            began = time.monotonic()
            for number in range(1, 401):
                session.drive_once({"jawOpen": 0.1}, pts_ns=number)
            shown = [wait_for_pts(reader, 1).header]
            while shown[-1].pts_ns < 400:
                shown.append(must_receive(reader).header)
            elapsed = time.monotonic() - began
        fresh = [h.pts_ns for h in shown if not h.flags & Flags.REPEATED]
        assert fresh == sorted(set(fresh))
        assert len(fresh) <= 20 * elapsed + 2  # max_fps, and one at either end
        seqs = [h.seq for h in shown]
        assert seqs == sorted(set(seqs))
        report = session.drive_once()
        assert report.received == 401
        assert report.replaced >= 400 - len(fresh) - 1


def test_reports_come_back(session: ClientSession) -> None:
    with closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=77)
        wait_for_pts(reader, 77)
        eventually(lambda: session.report.pts_ns == 77)
        assert session.report.seq > 0
        assert session.report.frame_ms > 0


# ---- those who come late, read slowly, or not at all


def test_a_latecomer_gets_a_keyframe_at_once(client: FlexAvatarClient) -> None:
    with client.start_session("ada", kinds=(SPLATS,)) as session:
        stop = threading.Event()

        def keep_driving() -> None:
            number = 0
            while not stop.wait(0.01):
                number += 1
                session.drive({"jawOpen": number % 10 / 10})

        driver = threading.Thread(target=keep_driving)
        driver.start()
        try:
            for _ in range(3):
                with closing(session.reader()) as reader:
                    began = time.monotonic()
                    first = must_receive(reader)
                    assert time.monotonic() - began < 1.0
                    assert first.gaussians is not None
                    while must_receive(reader).header.kind is Kind.SPLATS_KEY:
                        pass  # and then deltas follow
        finally:
            stop.set()
            driver.join(PATIENCE_S)


def test_a_latecomer_sees_a_face_at_rest(session: ClientSession) -> None:
    with closing(session.reader()) as first, closing(session.reader(latest=True)) as second:
        for reader in (first, second):
            began = time.monotonic()
            assert must_receive(reader).header.flags & Flags.REPEATED
            assert time.monotonic() - began < 1.0


def test_keyframes_only_for_conflating_readers(client: FlexAvatarClient) -> None:
    with client.start_session("ada", kinds=(SPLATS,), keyframe_interval_ms=1) as session:
        with closing(session.reader(latest=True)) as reader:
            for number in range(1, 6):
                session.drive({"jawOpen": number / 10}, pts_ns=number)
                assert wait_for_pts(reader, number).header.kind is Kind.SPLATS_KEY


def test_a_reader_that_stops_reading_holds_up_nobody(client: FlexAvatarClient) -> None:
    with client.start_session("ada", 512, 512) as session:
        asleep = zmq.Context.instance().socket(zmq.SUB)
        asleep.setsockopt(zmq.SUBSCRIBE, session.info.topic)
        asleep.setsockopt(zmq.RCVHWM, 1)
        asleep.setsockopt(zmq.LINGER, 0)
        asleep.connect(session.info.frame_address)
        with closing(session.reader()) as reader:
            must_receive(reader)
            for number in range(1, 121):  # 120 MB: more than any buffer on the way holds
                session.drive_once({"jawOpen": 0.1}, pts_ns=number)
                wait_for_pts(reader, number)
        asleep.close()
        zmq.Context.instance().term()


def test_a_driver_that_stops_reading_reports(
    client: FlexAvatarClient, session: ClientSession
) -> None:
    """It sends for good and never reads: it is drawn all the same, and others are served."""
    stop, sent = threading.Event(), iter(range(1, 10**9))

    def signals() -> Iterator[pb.DriveRequest]:
        while not stop.is_set():
            yield pb.DriveRequest(
                session_id=session.info.session_id,
                owner_token=session.info.owner_token,
                pts_ns=next(sent),
                arkit=pb.ArkitWeights(weights={"jawOpen": 0.1}),
            )

    call = client.drive_stream(signals())
    with closing(session.reader(latest=True)) as reader:
        assert wait_for_pts(reader, 500).header.pts_ns >= 500
    with client.start_session("ada", 32, 32) as other, closing(other.reader()) as reader:
        other.drive({"jawOpen": 0.2}, pts_ns=3)
        assert wait_for_pts(reader, 3).rgba is not None
    stop.set()
    call.cancel()


def test_nothing_is_drawn_for_nobody(
    client: FlexAvatarClient, session: ClientSession, engine: TinyEngine
) -> None:
    engine.draw_error = AssertionError("drawn without a reader")
    session.drive({"jawOpen": 0.1}, pts_ns=4)
    eventually(lambda: session.report.pts_ns == 4)
    assert client.info().sessions == 1


# ---- bad signals


BAD_SIGNALS: list[tuple[pb.DriveRequest, str]] = [
    (pb.DriveRequest(arkit=pb.ArkitWeights(weights={"jawOpen": math.nan})), "jawOpen.*nan"),
    (pb.DriveRequest(arkit=pb.ArkitWeights(weights={"jawOpen": math.inf})), "jawOpen.*inf"),
    (pb.DriveRequest(arkit=pb.ArkitWeights(weights={"jawOpen": 3})), "expected a weight in 0..1"),
    (pb.DriveRequest(arkit=pb.ArkitWeights(weights={"jawOpen": -1})), "expected a weight in 0..1"),
    (pb.DriveRequest(arkit=pb.ArkitWeights(weights={"JawOpen": 1})), r"not ARKit.*\['JawOpen'\]"),
    (pb.DriveRequest(flame=pb.FlameCodes(jaw_pose=[0, 0])), "jaw_pose: expected 3 numbers, got 2"),
    (pb.DriveRequest(flame=pb.FlameCodes(jaw_pose=[9, 0, 0])), "jaw_pose: expected -6.28319 to"),
    (pb.DriveRequest(flame=pb.FlameCodes(expression=[0] * 101)), "100 numbers at most, got 101"),
    (pb.DriveRequest(flame=pb.FlameCodes(expression=[math.nan])), "expression: .*nan"),
    (pb.DriveRequest(flame=pb.FlameCodes(expression=[1e30])), r"expression: .*1e\+30"),
    (pb.DriveRequest(flame=pb.FlameCodes(eyelids=[0, 2])), "eyelids: expected -1.5 to 1.5, got 2"),
    (pb.DriveRequest(flame=pb.FlameCodes(correctives=[1] * 5)), "correctives: expected 4"),
    (pb.DriveRequest(head=pb.HeadPose(neck_pose=[math.nan, 0, 0])), "neck_pose: .*nan"),
    (pb.DriveRequest(head=pb.HeadPose(transl=[0, 0, 99])), "transl: expected -10 to 10"),
    (pb.DriveRequest(camera=pb.Camera(orbit=pb.Orbit(yaw_deg=math.nan))), "yaw_deg: .*nan"),
    (pb.DriveRequest(camera=pb.Camera(orbit=pb.Orbit(pitch_deg=91))), "pitch_deg: expected -90"),
    (pb.DriveRequest(camera=pb.Camera(pinhole=pb.PinholeCamera())), "viewmat: expected 16"),
    (
        pb.DriveRequest(camera=pb.Camera(pinhole=pb.PinholeCamera(viewmat=[2] * 16, K=[1] * 9))),
        "viewmat: expected a rotation and a shift",
    ),
    (
        pb.DriveRequest(
            camera=pb.Camera(
                pinhole=pb.PinholeCamera(viewmat=np.eye(4).flatten().tolist(), K=[0] * 9)
            )
        ),
        "K: expected positive focal lengths",
    ),
]


@pytest.mark.parametrize(("signal", "complaint"), BAD_SIGNALS)
def test_bad_signals(session: ClientSession, signal: pb.DriveRequest, complaint: str) -> None:
    """Refused by both twins, by name; the session goes on with the next good one."""
    with closing(session.reader()) as reader:
        which = signal.WhichOneof("signal")
        parts = {
            "weights": signal.arkit.weights if which == "arkit" else None,
            "flame": signal.flame if which == "flame" else None,
            "head": signal.head if signal.HasField("head") else None,
            "camera": signal.camera if signal.HasField("camera") else None,
        }
        with pytest.raises(InputError, match=complaint):
            session.drive_once(**parts)
        with pytest.raises(InputError, match=complaint):
            drive_until_refused(session, **parts)
        session.drive_once({"jawOpen": 0.1}, pts_ns=9)
        assert wait_for_pts(reader, 9).header.pts_ns == 9


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (pb.StartSessionRequest(width=2049), "width: expected 16 to 2048, got 2049"),
        (pb.StartSessionRequest(height=30000), "height: expected 16 to 1024, got 30000"),
        (pb.StartSessionRequest(width=1), "width: expected 16"),
        (pb.StartSessionRequest(max_fps=math.nan), "max_fps: .*nan"),
        (pb.StartSessionRequest(max_fps=-1), "max_fps: expected 1 to 240"),
        (pb.StartSessionRequest(jpeg_quality=101), "jpeg_quality: expected 1 to 100"),
        (pb.StartSessionRequest(keyframe_interval_ms=1001), "keyframe_interval_ms: expected 1"),
        (pb.StartSessionRequest(kinds=[77]), r"kinds: expected .*77"),  # type: ignore[list-item]
        (pb.StartSessionRequest(kinds=[RGBA8, 0]), "kinds: expected"),  # type: ignore[list-item]
        (pb.StartSessionRequest(camera=BAD_SIGNALS[14][0].camera), "yaw_deg"),
    ],
)
def test_bad_sessions(
    client: FlexAvatarClient, request_: pb.StartSessionRequest, complaint: str
) -> None:
    request_.avatar = "ada"
    with pytest.raises(InputError, match=complaint):
        client.call("StartSession", request_)
    assert client.info().sessions == 0


def test_sessions_of_nobody(client: FlexAvatarClient) -> None:
    with pytest.raises(AvatarNotFoundError, match="no avatar 'nobody'"):
        client.start_session("nobody")
    with pytest.raises(InputError, match="avatar name"):
        client.start_session("../ada")
    ghost = ClientSession(client, pb.Session(session_id="0" * 16))
    with pytest.raises(SessionNotFoundError, match="no session"):
        ghost.drive_once({})


def test_too_many_sessions(client: FlexAvatarClient) -> None:
    sessions = [client.start_session("ada", 64, 64) for _ in range(3)]
    with pytest.raises(BusyError, match="3 is the limit"):
        client.start_session("ada")
    sessions[0].close()
    eventually(lambda: client.info().sessions == 2)
    client.start_session("ada")


# ---- a second client


def test_a_second_client_on_one_session(client: FlexAvatarClient, session: ClientSession) -> None:
    session.drive({"jawOpen": 0.1}, pts_ns=1)
    eventually(lambda: session.report.pts_ns == 1)
    stranger = pb.Session()
    stranger.CopyFrom(session.info)
    for token in ("", "guess", "ä"):
        stranger.owner_token = token
        other = ClientSession(client, stranger)
        with pytest.raises(OwnerError, match="belongs to another client"):
            other.drive_once({"jawOpen": 1})
        with pytest.raises(OwnerError, match="belongs to another client"):
            other.close()
    request = pb.DriveRequest(session_id=session.info.session_id)
    call = client.drive_stream(iter([request]))
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is StatusCode.PERMISSION_DENIED


def test_a_second_stream_of_the_owner(client: FlexAvatarClient, session: ClientSession) -> None:
    session.drive({"jawOpen": 0.1}, pts_ns=1)
    eventually(lambda: session.report.pts_ns == 1)
    twin = ClientSession(client, session.info)
    with pytest.raises(ConflictError, match="driven by another stream already"):
        drive_until_refused(twin, {"jawOpen": 1})
    session.drive({"jawOpen": 0.1}, pts_ns=2)
    eventually(lambda: session.report.pts_ns == 2)


def test_the_driver_may_come_back(client: FlexAvatarClient, session: ClientSession) -> None:
    stub = FlexAvatarStub(client.channel)
    for number in (1, 2):
        request = pb.DriveRequest(
            session_id=session.info.session_id,
            owner_token=session.info.owner_token,
            pts_ns=number,
        )
        reports = list(stub.Drive(iter([request]), timeout=PATIENCE_S))
        assert reports[-1].received == number


# ---- how it ends


def end_of(reader: FrameReader) -> str:
    """Read until the server says that it is over."""
    try:
        while True:
            must_receive(reader)
    except SessionNotFoundError as error:
        return str(error)


def test_its_owner_ends_it(client: FlexAvatarClient) -> None:
    session = client.start_session("ada")
    with closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=1)
        wait_for_pts(reader, 1)
        session.close()
        assert "its owner ended it" in end_of(reader)
    with pytest.raises(SessionNotFoundError, match="its owner ended it"):
        session.drive_once({})
    session.close()  # once more does no harm
    eventually(lambda: client.info().sessions == 0)


def test_frames_stop_with_the_session(client: FlexAvatarClient) -> None:
    session = client.start_session("ada", 64, 64)
    count = 0
    for received in session.frames(PATIENCE_S):
        count += received.rgba is not None
        session.close()
    assert count >= 1


def test_its_avatar_is_deleted(client: FlexAvatarClient) -> None:
    session, other = client.start_session("ada"), client.start_session("ada")
    with closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=1)
        wait_for_pts(reader, 1)
        client.delete_avatar("ada")
        assert "avatar 'ada' was deleted" in end_of(reader)
    with pytest.raises(SessionNotFoundError, match="was deleted"):
        drive_until_refused(session, {"jawOpen": 0.1})
    with pytest.raises(SessionNotFoundError, match="was deleted"):
        other.drive_once({})
    assert client.info().sessions == 0


def test_a_replaced_avatar_stays_in_its_sessions(
    client: FlexAvatarClient, session: ClientSession
) -> None:
    client.create_avatar([PHOTO, PHOTO], "ada", replace=True)
    with closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=1)
        assert wait_for_pts(reader, 1).rgba is not None


def test_nobody_drives_it(tmp_path: Path, engine: TinyEngine) -> None:
    config = local_config(tmp_path, idle_timeout_s=0.6)
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        session = client.start_session("ada", 64, 64)
        with closing(session.reader()) as reader:
            for number in range(1, 11):  # driven for longer than the time-out: it lives
                session.drive_once({"jawOpen": 0.1}, pts_ns=number)
                wait_for_pts(reader, number)
                threading.Event().wait(0.1)
            assert "not driven for 0.6 s" in end_of(reader)
        with pytest.raises(SessionNotFoundError, match="not driven"):
            session.drive_once({})


def test_the_server_stops(config: ServerConfig, engine: TinyEngine) -> None:
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        session = client.start_session("ada", 64, 64)
        reader = session.reader()
        must_receive(reader)
    assert "the server stops" in end_of(reader)
    reader.close()


def test_a_bug_ends_its_session_alone(
    client: FlexAvatarClient,
    session: ClientSession,
    engine: TinyEngine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with closing(session.reader()) as reader:
        must_receive(reader)
        engine.draw_error = ZeroDivisionError("a bug")
        session.drive_once({"jawOpen": 0.1})
        assert "failed to draw it" in end_of(reader)
    assert "ZeroDivisionError: a bug" in caplog.text
    engine.draw_error = None
    with client.start_session("ada", 64, 64) as other, closing(other.reader()) as reader:
        must_receive(reader)


def test_errors_keep_their_class(session: ClientSession) -> None:
    with pytest.raises(DriveError):
        session.drive_once({"nose": 1})
