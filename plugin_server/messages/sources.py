"""What the messages say about sources and gateways. What comes in is checked here, once."""

from __future__ import annotations

from collections.abc import Sequence

from flexavatar.drive.mixer import Source
from flexavatar.drive.profile import Profile
from flexavatar.drive.signal import AUDIO, DRIVE, WEBCAM
from flexavatar.errors import InputError
from plugin_server.gateways.config import GatewayConfig
from plugin_server.gateways.hub import GatewayStatus, Hub
from plugin_server.messages.sessions import KINDS
from plugin_server.pb import flexavatar_pb2 as pb


def sources_from(messages: Sequence[pb.Source], gateways: Sequence[str]) -> list[Source]:
    """A session's sources; gateways are those that are open. Raises DriveError, InputError."""
    known = [DRIVE, WEBCAM, AUDIO, *gateways]
    for message in messages:
        if message.name.partition(":")[0] not in known:
            raise InputError(f"sources: expected some of {known}, got {message.name!r:.60}")
    return [Source(m.name, dict(m.shares), dict(m.gains)) for m in messages]


def show_request(config: GatewayConfig, hub: Hub) -> pb.StartSessionRequest:
    """The session that a server starts by itself: whatever kind of frames a reader wants."""
    return pb.StartSessionRequest(
        avatar=config.show,
        name=config.show,
        width=config.show_width,
        height=config.show_height,
        kinds=[*KINDS],
        sources=[pb.Source(name=name) for name in {s.source: None for s in hub.statuses}],
    )


def gateway_message(status: GatewayStatus, now_s: float) -> pb.Gateway:
    """What has come in through a gateway."""
    sender = status.sender
    return pb.Gateway(
        source=status.source,
        address=status.address,
        sender=sender.address if sender else "",
        subject=sender.subject if sender else "",
        frames=status.frames,
        refused=status.refused,
        late=status.late,
        skipped=status.skipped,
        silent_s=now_s - status.received_at_s if sender else 0.0,
        problem=status.problem,
    )


def profile_from(message: pb.Profile) -> Profile:
    """How sources are followed; a smoothing of 0 is the usual. Raises DriveError."""
    return Profile(dict(message.gains), message.smoothing or 1.0, message.mirror)


def profile_message(profile: Profile) -> pb.Profile:
    """A profile for clients."""
    return pb.Profile(gains=profile.gains, smoothing=profile.smoothing, mirror=profile.mirror)
