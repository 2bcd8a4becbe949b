"""Messages of sessions <-> types. What comes in is checked here, once."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch

from flexavatar.drive.voice.config import EMOTIONS
from flexavatar.errors import InputError
from flexavatar.formats.video_reader import MAX_SECONDS
from flexavatar.render.camera import orbit, resize_camera
from flexavatar.types import Camera
from plugin_server.config import SMALLEST_SIDE, ServerConfig
from plugin_server.frames import StreamPlan
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.session import Session
from plugin_server.wire import Kind

DEFAULT_SIDE = 512
DEFAULT_FPS, HIGHEST_FPS = 120.0, 240.0
DEFAULT_QUALITY = 90
DEFAULT_KEYFRAME_MS = 1000

LONGEST_TURN = 2 * math.pi  # radians: no joint needs more, whatever way it is written
LONGEST_FOCAL = 50  # times the picture's longer side: a degree across

KINDS = {
    pb.STREAM_KIND_RGBA8: Kind.RGBA8,
    pb.STREAM_KIND_JPEG: Kind.JPEG,
    pb.STREAM_KIND_DEPTH: Kind.DEPTH,
    pb.STREAM_KIND_SPLATS: Kind.SPLATS_KEY,
}


def stream_plan(request: pb.StartSessionRequest, config: ServerConfig) -> StreamPlan:
    """Kinds, size and rate of a session's frames. Raises InputError."""
    if unknown := [kind for kind in request.kinds if kind not in KINDS]:
        raise InputError(f"kinds: expected some of {pb.StreamKind.keys()[1:]}, got {unknown}")
    interval_ms = request.keyframe_interval_ms or DEFAULT_KEYFRAME_MS
    width, height = request.width or DEFAULT_SIDE, request.height or DEFAULT_SIDE
    fps, quality = request.max_fps or DEFAULT_FPS, request.jpeg_quality or DEFAULT_QUALITY
    check_range("width", width, SMALLEST_SIDE, config.max_width)
    check_range("height", height, SMALLEST_SIDE, config.max_height)
    check_range("max_fps", fps, 1, HIGHEST_FPS)
    check_range("jpeg_quality", quality, 1, 100)
    check_range("keyframe_interval_ms", interval_ms, 1, 1000)
    kinds = frozenset(KINDS[kind] for kind in request.kinds or (pb.STREAM_KIND_RGBA8,))
    idle_s = config.idle_timeout_s
    return StreamPlan(kinds, width, height, fps, quality, interval_ms / 1000, idle_s)


def plan_kinds(plan: StreamPlan) -> list[pb.StreamKind]:
    """The kinds of a plan, as messages have them."""
    return [number for number, kind in KINDS.items() if kind in plan.kinds]


def camera_from(message: pb.Camera, own: Camera, plan: StreamPlan) -> Camera | None:
    """The camera of a message, or None. `own` is the avatar's. Raises InputError."""
    view = message.WhichOneof("view")
    if view is None:
        return None
    if view == "orbit":
        return orbit_camera(message.orbit.yaw_deg, message.orbit.pitch_deg, own, plan)
    return _pinhole(message.pinhole, plan)


def session_camera(message: pb.Camera, own: Camera, plan: StreamPlan) -> Camera:
    """The camera that a session is started with: its message's, or the avatar's own."""
    return camera_from(message, own, plan) or resize_camera(own, plan.width, plan.height)


def orbit_camera(yaw_deg: float, pitch_deg: float, own: Camera, plan: StreamPlan) -> Camera:
    """The avatar's own camera, turned around the head. Raises InputError."""
    check_range("yaw_deg", yaw_deg, -360, 360)
    check_range("pitch_deg", pitch_deg, -90, 90)
    return orbit(resize_camera(own, plan.width, plan.height), yaw_deg, pitch_deg)


def _pinhole(message: pb.PinholeCamera, plan: StreamPlan) -> Camera:
    """A camera of numbers. Raises InputError unless it is one that can be built."""
    check_numbers("viewmat", message.viewmat, 16, 1e4)
    check_numbers("K", message.K, 9, 1e6)
    viewmat, K = torch.tensor([*message.viewmat]).view(4, 4), torch.tensor([*message.K]).view(3, 3)
    rotation, bottom = viewmat[:3, :3], torch.tensor([0.0, 0.0, 0.0, 1.0])
    rigid = torch.allclose(rotation @ rotation.T, torch.eye(3), atol=1e-3)
    if not (rigid and torch.linalg.det(rotation) > 0 and torch.equal(viewmat[3], bottom)):
        raise InputError(f"viewmat: expected a rotation and a shift, got {viewmat.tolist()}")
    longest = LONGEST_FOCAL * max(plan.width, plan.height)
    if not all(0 < focal <= longest for focal in (K[0, 0], K[1, 1])):
        raise InputError(
            f"K: expected positive focal lengths, {longest:g} pixels at most, got {K.tolist()}"
        )
    if K[0, 1] or K[1, 0] or not torch.equal(K[2], bottom[1:]):
        raise InputError(f"K: expected no skew and 0 0 1 as the last row, got {K.tolist()}")
    return Camera(viewmat, K, plan.width, plan.height)


def camera_message(camera: Camera) -> pb.PinholeCamera:
    """A camera as numbers."""
    return pb.PinholeCamera(
        viewmat=camera.viewmat.flatten().tolist(), K=camera.K.flatten().tolist()
    )


def check_numbers(name: str, values: Sequence[float], size: int, largest: float) -> None:
    """Raise InputError unless these are `size` finite numbers, none larger than `largest`."""
    if len(values) != size:
        raise InputError(f"{name}: expected {size} numbers, got {len(values)}")
    for value in values:
        check_range(name, value, -largest, largest)


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InputError for what is outside."""
    if not low <= value <= high:  # also false for NaN
        raise InputError(f"{name}: expected {low:g} to {high:g}, got {value:g}")


def session_status(session: Session, name: str) -> pb.SessionStatus:
    """What an administrator sees of a session."""
    plan, last = session.plan, session.last_frame
    return pb.SessionStatus(
        session_id=session.session_id,
        name=name,
        avatars=session.avatars,
        width=plan.width,
        height=plan.height,
        kinds=plan_kinds(plan),
        max_fps=plan.max_fps,
        started_unix_ms=session.started_ns // 1_000_000,
        frames=last.seq,
        frame_ms=last.frame_ms,
        load=session.load,
        driven_s=time.monotonic() - session.driven_at,
    )


def limits_message(config: ServerConfig) -> pb.Limits:
    """The limits of a server."""
    return pb.Limits(
        photos=config.max_photos,
        photo_bytes=config.max_photo_mib << 20,
        upload_bytes=config.max_upload_mib << 20,
        message_bytes=config.message_bytes,
        width=config.max_width,
        height=config.max_height,
        sessions=config.max_sessions,
        creations_running=config.creations_running,
        creations_waiting=config.creations_waiting,
        video_bytes=config.max_video_mib << 20,
        video_seconds=int(MAX_SECONDS),
        audio_seconds=int(config.max_audio_s),
        emotions=EMOTIONS,
        idle_timeout_s=config.idle_timeout_s,
    )
