"""How somebody wants to be followed: gains, smoothing and a mirror, kept with the avatar."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexavatar.drive.one_euro import WEIGHT_SMOOTHING, WeightFilter
from flexavatar.drive.profile import Profile, parse_gains, profile_from_json
from flexavatar.drive.protocols import live_link_face
from flexavatar.errors import AvatarNotFoundError, DriveError
from flexavatar.types import NS_PER_S
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader
from plugin_server.gateways.config import GatewayConfig
from plugin_server.neutral_faces import PROFILE, read_profile
from plugin_server.pb import flexavatar_pb2 as pb
from tests.live import SIZE, TellingEngine, seen_of, sending_udp, watching
from tests.service import PHOTO, local_config, must_receive, server_and_client
from tests.signals import signal_of


def test_a_mirror_changes_the_sides() -> None:
    face = signal_of({"eyeBlinkLeft": 0.7, "jawLeft": 0.3, "jawOpen": 0.5}, (0.1, 0.2, 0.3))
    seen = Profile(mirror=True).turned(face)
    assert seen.named() == pytest.approx(
        {"eyeBlinkRight": 0.7, "jawRight": 0.3, "jawOpen": 0.5}, abs=1e-6
    )
    assert seen.neck_pose == (0.1, -0.2, -0.3)
    assert Profile().turned(face) is face


def test_more_smoothing_trembles_less() -> None:
    noise = np.random.default_rng(0).normal(0.5, 0.02, (600, 1))

    def trembling(amount: float) -> float:
        one = WeightFilter(Profile(smoothing=amount).smoothed(WEIGHT_SMOOTHING))
        return float(np.std([one.step(row, 1 / 60) for row in noise][60:]))

    assert trembling(4.0) < 0.6 * trembling(1.0) < 0.6 * trembling(0.25)


@pytest.mark.parametrize(
    "wrong",
    [{"gains": {"jawOpne": 1.0}}, {"gains": {"jawOpen": 5.0}}, {"smoothing": 0.0},
     {"smoothing": float("nan")}],
)  # fmt: skip
def test_profiles_that_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DriveError):
        Profile(**wrong)
    with pytest.raises(DriveError):
        parse_gains(["jawOpen"])


def test_damaged_profiles_are_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    profile = Profile({"jawOpen": 1.5}, 2.0, True)
    assert profile_from_json(json.loads(json.dumps(profile.to_json()))) == profile
    for text in ("", "[]", '{"gains": {"x": 1}, "smoothing": 1, "mirror": false}', '{"gains": 1}'):
        (tmp_path / PROFILE).write_text(text)
        assert read_profile(tmp_path) == Profile()
    assert caplog.text.count("is not used") == 4


def test_a_profile_is_kept_and_used(tmp_path: Path) -> None:
    """Over the network: given once, used after a new start, changed in part."""
    engine, config = TellingEngine(), local_config(tmp_path)
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")

    def shown(**options: Any) -> tuple[float, float]:
        """Jaw and yaw once they have settled."""
        size = {"show_width": SIZE, "show_height": SIZE}
        gateways = GatewayConfig(show="ada", live_link_face=0, **size, **options)
        with server_and_client(replace(config, gateways=gateways), engine) as (client, _):
            address = client.info().gateways[0].address
            with watching(client) as reader, sending_udp(address) as send:
                jaw, yaw = 0.0, 0.0
                for i in range(70):
                    face = signal_of({"jawOpen": 0.4 + i / 10_000}, (0, 0.5, 0))
                    send(live_link_face.write(replace(face, pts_ns=i * NS_PER_S // 60)))
                    seen = seen_of(must_receive(reader))
                    jaw, yaw = float(seen.told[0]), seen.yaw
                return jaw, yaw

    assert shown(gain=("jawOpen=1.5",), mirror="yes") == pytest.approx((0.6, -0.5), abs=0.05)
    assert shown() == pytest.approx((0.6, -0.5), abs=0.05)
    assert shown(mirror="no") == pytest.approx((0.6, 0.5), abs=0.05)
    assert read_profile(config.store / "ada") == Profile({"jawOpen": 1.5}, 1.0, False)


def test_sessions_under_way_follow_it(tmp_path: Path) -> None:
    """One that asked for the profile does as it says, from the call on; another does not."""
    with server_and_client(local_config(tmp_path), TellingEngine()) as (client, _):
        client.create_avatar([PHOTO], "ada")
        profile = pb.Profile(gains={"jawOpen": 1.5}, mirror=True)
        for follows, then in ((False, (0.4, 0.5)), (True, (0.6, -0.5))):
            client.call("SetProfile", pb.SetProfileRequest(avatar="ada"))
            with following(client, follows) as settled:
                assert settled() == pytest.approx((0.4, 0.5), abs=0.05)
                client.call("SetProfile", pb.SetProfileRequest(avatar="ada", profile=profile))
                assert settled() == pytest.approx(then, abs=0.05)
        kept = client.call("GetProfile", pb.GetProfileRequest(avatar="ada"))
        assert (dict(kept.gains), kept.smoothing, kept.mirror) == ({"jawOpen": 1.5}, 1.0, True)
        wrong = pb.SetProfileRequest(avatar="ada", profile=pb.Profile(gains={"jawOpen": 9}))
        with pytest.raises(DriveError, match=r"expected 0\.\.4"):
            client.call("SetProfile", wrong)
        with pytest.raises(AvatarNotFoundError):
            client.call("GetProfile", pb.GetProfileRequest(avatar="bob"))


@contextmanager
def following(
    client: FlexAvatarClient, profile: bool
) -> Iterator[Callable[[], tuple[float, float]]]:
    """Jaw and yaw, once they have settled, of a session that a webcam drives."""
    request = pb.StartSessionRequest(
        avatar="ada", width=SIZE, height=SIZE, profile=profile, sources=[pb.Source(name="webcam")]
    )
    session = client.call("StartSession", request)
    owner = {"session_id": session.session_id, "owner_token": session.owner_token}
    head = pb.HeadPose(neck_pose=(0, 0.5, 0))
    with closing(FrameReader(session)) as reader:
        sent = 0

        def settled() -> tuple[float, float]:
            nonlocal sent
            jaw, yaw = 0.0, 0.0
            for _ in range(70):
                sent += 1
                arkit = pb.ArkitWeights(weights={"jawOpen": 0.4 + sent / 100_000})
                client.call("DriveOnce", pb.DriveRequest(
                    **owner, pts_ns=sent * NS_PER_S // 60, arkit=arkit, head=head, source="webcam"
                ))  # fmt: skip
                seen = seen_of(must_receive(reader))
                jaw, yaw = float(seen.told[0]), seen.yaw
            return jaw, yaw

        yield settled
