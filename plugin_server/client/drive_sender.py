"""Drives a session over ZeroMQ: packets of one size, no answers, the newest wins."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import zmq

from plugin_server.client.frame_reader import use_curve
from plugin_server.messages.drive_packet import (
    NO_ORBIT,
    NO_POSE,
    NO_WEIGHTS,
    DrivePacket,
    Parts,
    pack_drive,
    packet_weights,
)
from plugin_server.pb import flexavatar_pb2 as pb

SEND_QUEUE = 2
LINGER_MS = 200


class DriveSender:
    """Sends packets to a session that this program owns. For one thread."""

    def __init__(self, session: pb.Session) -> None:
        self._session, self._seq = session, 0
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, SEND_QUEUE)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.setsockopt(zmq.IPV6, int("[" in session.drive_address))
        use_curve(self._socket, session)
        self._socket.connect(session.drive_address)

    def drive(
        self,
        weights: Mapping[str, float] | None = None,
        pts_ns: int | None = None,
        pose: Sequence[float] | None = None,
        orbit: Sequence[float] | None = None,
        morph: float | None = None,
    ) -> None:
        """Show this next: ARKit weights by name, how the head is held, from where, of whom.

        `pose` is neck_pose, global_orient, transl (9 numbers: radians, metres), `orbit` yaw and
        pitch in degrees, `pts_ns` the monotonic clock unless given. Returns at once; what cannot
        be sent now is dropped. The server's reasons not to show it: GetServerInfo, `drive`.
        Raises WireError for a name that is not ARKit's.
        """
        self._seq += 1
        given = (weights, pose, orbit, morph)
        packet = DrivePacket(
            session=self._session.session_id,
            token=self._session.owner_token,
            seq=self._seq,
            pts_ns=time.monotonic_ns() if pts_ns is None else pts_ns,
            parts=Parts(sum(1 << i for i, part in enumerate(given) if part is not None)),
            weights=NO_WEIGHTS if weights is None else packet_weights(weights),
            pose=NO_POSE if pose is None else tuple(pose),
            orbit=NO_ORBIT if orbit is None else tuple(orbit),
            morph=morph or 0.0,
        )
        with suppress(zmq.Again):
            self._socket.send(pack_drive(packet), zmq.DONTWAIT)

    def close(self) -> None:
        """Send what is on its way, for a moment."""
        self._socket.close()
        self._context.term()
