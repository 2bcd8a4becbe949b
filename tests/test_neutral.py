"""Phones and a person's own face at rest: learned once, kept with the avatar."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.neutral import NeutralFace, NeutralFaceFinder, neutral_faces_from_json
from flexavatar.drive.protocols import live_link_face
from flexavatar.drive.signal import Signal
from flexavatar.errors import DriveError
from flexavatar.types import NS_PER_S
from plugin_server.gateways.config import GatewayConfig
from plugin_server.neutral_faces import FILE, NeutralFaces, read_neutral_faces
from tests.live import SIZE, TellingEngine, seen_of, sending_udp, watching
from tests.service import (
    PATIENCE_S,
    PHOTO,
    eventually,
    local_config,
    must_receive,
    server_and_client,
)
from tests.signals import signal_of

REST = {"browInnerUp": 0.3, "mouthSmileLeft": 0.25, "jawOpen": 0.1}
TILT = HeadAngles(0.1, -0.3, 0.05).axis_angle()


def resting(seconds: float = 2.5) -> Iterator[tuple[float, Signal]]:
    """Somebody at rest, who trembles and blinks twice."""
    chance = np.random.default_rng(0)
    for i in range(round(60 * seconds)):
        blink = 1.0 if i % 70 < 10 else 0.02
        noise = {name: w + chance.normal(0, 0.01) for name, w in REST.items()}
        head = tuple(v + chance.normal(0, 0.005) for v in TILT)
        yield i / 60, signal_of(noise | {"eyeBlinkLeft": blink, "eyeBlinkRight": blink}, head)


def test_rest_is_the_median_of_two_seconds() -> None:
    finder = NeutralFaceFinder()
    found = [(t, neutral) for t, signal in resting() if (neutral := finder.add(signal, t))]
    t, neutral = found[0]
    assert t == pytest.approx(2.0, abs=0.02)
    at_rest = neutral.relative(signal_of(REST, TILT))
    assert max(at_rest.named().values()) < 0.01
    assert at_rest.neck_pose == pytest.approx((0, 0, 0), abs=0.005)
    assert neutral.relative(signal_of({"eyeBlinkLeft": 1.0})).weight("eyeBlinkLeft") == 1.0
    full = neutral.relative(signal_of({"browInnerUp": 1.0, "jawOpen": 0.55}))
    assert full.weight("browInnerUp") == pytest.approx(1.0)
    assert full.weight("jawOpen") == pytest.approx(0.5, abs=0.01)


def test_a_turn_is_followed_from_rest() -> None:
    neutral = NeutralFace(np.zeros(52, np.float32), TILT)
    turned = TILT.quaternion() @ HeadAngles(0.4, 0.0, 0.0).axis_angle().quaternion()
    seen = neutral.relative(signal_of({}, turned.axis_angle()))
    assert seen.neck_pose.head_angles() == pytest.approx((0.4, 0, 0), abs=1e-6)
    assert neutral.relative(signal_of({"jawOpen": 0.5})).head is None


def test_a_grimace_is_not_all_taken_for_rest() -> None:
    finder, neutral = NeutralFaceFinder(), None
    for i in range(200):
        neutral = finder.add(signal_of({"jawOpen": 1.0}), i / 60)
    assert neutral is not None
    assert neutral.relative(signal_of({"jawOpen": 1.0})).weight("jawOpen") == pytest.approx(1.0)


def test_every_source_is_learned_once_and_kept() -> None:
    kept: list[str] = []
    faces = NeutralFaces({"vmc": NeutralFace(np.full(52, 0.5, np.float32))}, kept.append)
    for t, signal in resting(6.0):
        faces.relative("live-link-face", signal, t)
    assert len(kept) == 1
    read = neutral_faces_from_json(json.loads(kept[0]))
    assert read.keys() == {"vmc", "live-link-face"}
    again = NeutralFaces(read).relative("live-link-face", signal_of(REST, TILT), 0.0)
    assert max(again.named().values()) < 0.01
    other = signal_of(REST)
    assert NeutralFaces(read).relative("ifacialmocap", other, 0.0) is other


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"vmc": 1}', '{"vmc": {"weights": {"jawOpn": 0.1}, "turn": [0, 0, 0]}}',
     '{"vmc": {"weights": {"jawOpen": 1.5}, "turn": [0, 0, 0]}}',
     '{"vmc": {"weights": {"jawOpen": NaN}, "turn": [0, 0, 0]}}',
     '{"vmc": {"weights": {}, "turn": [0, 0]}}', '{"vmc": {"weights": {}, "turn": [0, 0, 1e999]}}'],
)  # fmt: skip
def test_what_is_damaged_is_not_used(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_text(text)
    assert read_neutral_faces(tmp_path) == {}
    assert "is not used" in caplog.text
    if text not in ("", "{"):
        with pytest.raises(DriveError):
            neutral_faces_from_json(json.loads(text))


def test_a_phone_is_calibrated_and_stays_so(tmp_path: Path) -> None:
    """Over the network, with `--calibrate`, and after a new start without it."""
    engine, config = TellingEngine(), local_config(tmp_path)
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")

    def shown_after(seconds: float, calibrate: bool = False) -> tuple[float, float]:
        """Jaw and yaw in the end."""
        gateways = GatewayConfig(
            show="ada", show_width=SIZE, show_height=SIZE, live_link_face=0, calibrate=calibrate
        )
        with server_and_client(replace(config, gateways=gateways), engine) as (client, _):
            address = client.info().gateways[0].address
            with watching(client) as reader, sending_udp(address) as send:
                start, seen = time.monotonic(), seen_of(must_receive(reader))
                while (t := time.monotonic() - start) < seconds:
                    noise = 0.002 * math.sin(50 * t)
                    face = signal_of({"jawOpen": 0.4 + noise}, (0, 0.5 + noise, 0))
                    send(live_link_face.write(replace(face, pts_ns=round(t * NS_PER_S))))
                    seen = seen_of(must_receive(reader))
                if calibrate:
                    eventually(lambda: (config.store / "ada" / FILE).is_file(), PATIENCE_S)
                return float(seen.told[0]), seen.yaw

    before = shown_after(1.2)
    assert before == pytest.approx((0.4, 0.5), abs=0.05)
    assert shown_after(3.5, calibrate=True) == pytest.approx((0, 0), abs=0.05)
    assert shown_after(1.2) == pytest.approx((0, 0), abs=0.05)
