"""Bad signals, bad sessions and other people's sessions: each has its answer."""

from __future__ import annotations

import math
import time
from contextlib import closing

import grpc
import numpy as np
import pytest
from grpc import StatusCode

from flexavatar.errors import (
    AvatarNotFoundError,
    BusyError,
    DriveError,
    FlexAvatarError,
    InputError,
    SessionNotFoundError,
)
from plugin_server import service
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.session import ClientSession
from plugin_server.errors import OwnerError
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub
from tests.service import (
    PATIENCE_S,
    drive_until_refused,
    eventually,
    must_receive,
    wait_for_pts,
)

RGBA8, JPEG = pb.STREAM_KIND_RGBA8, pb.STREAM_KIND_JPEG
DEPTH, SPLATS = pb.STREAM_KIND_DEPTH, pb.STREAM_KIND_SPLATS


# ---- bad signals


FACING = np.diag([1.0, -1.0, -1.0, 1.0])
LENS = np.array([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]])


def seen_from(viewmat: np.ndarray = FACING, K: np.ndarray = LENS) -> pb.DriveRequest:
    """A signal that is nothing but a camera."""
    numbers = {"viewmat": viewmat.flatten().tolist(), "K": K.flatten().tolist()}
    return pb.DriveRequest(camera=pb.Camera(pinhole=pb.PinholeCamera(**numbers)))


def changed(matrix: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    """The matrix with one number replaced."""
    matrix = matrix.copy()
    matrix[row, column] = value
    return matrix


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
    (pb.DriveRequest(morph=pb.Morph(share=0.5)), "morph: expected a session .* with morph_to"),
    (pb.DriveRequest(camera=pb.Camera(orbit=pb.Orbit(pitch_deg=91))), "pitch_deg: expected -90"),
    (pb.DriveRequest(camera=pb.Camera(pinhole=pb.PinholeCamera())), "viewmat: expected 16"),
    (
        pb.DriveRequest(camera=pb.Camera(pinhole=pb.PinholeCamera(viewmat=[2] * 16, K=[1] * 9))),
        "viewmat: expected a rotation and a shift",
    ),
    (seen_from(changed(FACING, 0, 0, -1)), "viewmat: expected a rotation"),  # a mirror
    (seen_from(changed(FACING, 3, 0, 0.5)), "viewmat: expected a rotation"),
    (seen_from(changed(FACING, 0, 3, math.nan)), "viewmat: .*nan"),
    (seen_from(K=np.zeros((3, 3))), "K: expected positive focal lengths"),
    (seen_from(K=changed(LENS, 1, 1, 51 * 64)), "K: expected positive focal.* 3200 pixels"),
    (seen_from(K=changed(LENS, 0, 1, 5)), "K: expected no skew"),
    (seen_from(K=changed(LENS, 2, 2, 2)), "K: expected no skew and 0 0 1"),
    (seen_from(K=changed(LENS, 0, 2, math.inf)), "K: .*inf"),
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
            "morph": signal.morph.share if signal.HasField("morph") else None,
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
        (
            pb.StartSessionRequest(kinds=[77]),  # pyright: ignore[reportArgumentType]: no such kind
            r"kinds: expected .*77",
        ),
        (
            pb.StartSessionRequest(kinds=[RGBA8, pb.STREAM_KIND_UNSPECIFIED]),
            "kinds: expected",
        ),
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


def test_errors_keep_their_class(session: ClientSession) -> None:
    with pytest.raises(DriveError):
        session.drive_once({"nose": 1})


def test_signals_after_a_refused_one_all_arrive(session: ClientSession) -> None:
    """The stream that was refused must not take what the next one is to send."""
    with closing(session.reader()) as reader:
        for number in range(1, 5):
            session.drive({"nose": 1})
            time.sleep(0.3)  # nothing more is sent until the refusal is here
            with pytest.raises(DriveError):
                session.drive({"jawOpen": 0.1})
            session.drive({"jawOpen": 0.1}, pts_ns=number)
            eventually(lambda n=number: must_receive(reader).header.pts_ns == n, timeout=3.0)


def test_a_stream_that_ended_well_is_replaced(session: ClientSession) -> None:
    session.drive({"jawOpen": 0.1}, pts_ns=1)
    assert session._stream is not None
    session._stream.finish(PATIENCE_S)  # as a server does that closes the call without an error
    session.drive({"jawOpen": 0.1}, pts_ns=2)
    eventually(lambda: session.report.pts_ns == 2)


def test_closing_tells_of_a_refusal_that_nobody_heard(client: FlexAvatarClient) -> None:
    with pytest.raises(DriveError, match="nose"), client.start_session("ada", 64, 48) as session:
        session.drive({"nose": 1})
    session.close()  # it is told once
    assert client.info().sessions == 0


@pytest.mark.parametrize("hung_up", [False, True])
def test_closing_does_not_hide_what_went_wrong(client: FlexAvatarClient, hung_up: bool) -> None:
    def go_wrong() -> None:
        with client.start_session("ada", 64, 48) as session:
            session.drive({"nose": 1})
            if hung_up:
                client.close()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        go_wrong()


def test_a_session_that_cannot_be_told_of_ends(
    client: FlexAvatarClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(plan: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(service, "plan_kinds", broken)
        for _ in range(4):  # one more than the limit
            with pytest.raises(FlexAvatarError, match="a bug"):
                client.start_session("ada", 64, 48)
    eventually(lambda: client.info().sessions == 0)
