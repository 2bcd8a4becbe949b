"""One instant of what drives a head: made and checked where it enters, and then taken as it is.

Whoever reads a message, a packet, a file, a camera or a voice makes a `Signal`; mixer, mailbox and
puppet take it; FLAME codes come of it in one step, `flame_codes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.drive.head_angles import FORWARD, AxisAngle
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_INDEX, ARKIT_NAMES, ArkitBasis, arkit_vector_to_flame
from flexavatar.types import Camera, FlameCodes

DRIVE, WEBCAM, AUDIO = "drive", "webcam", "audio"
"""Sources that are no gateway: who drives without saying what he is, a camera, a voice."""

NO_PTS = -1

Weights = NDArray[np.float32]
Mask = NDArray[np.bool_]

NO_WEIGHTS: Weights = np.zeros(len(ARKIT_NAMES), np.float32)
NONE_SENT: Mask = np.zeros(len(ARKIT_NAMES), bool)
ALL_SENT: Mask = np.ones(len(ARKIT_NAMES), bool)
for shared in (NO_WEIGHTS, NONE_SENT, ALL_SENT):
    shared.flags.writeable = False


@dataclass(frozen=True)
class HeadPose:
    """How the head is held, as smplx has it, in the head frame."""

    neck_pose: AxisAngle = FORWARD
    """The head on its neck."""
    global_orient: AxisAngle = FORWARD
    """Head and neck together."""
    transl: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Metres."""


@dataclass(frozen=True, eq=False)
class Signal:
    """One instant of what a face is to do. Nothing in it is checked again.

    What it says nothing of stays as it was, and shows what is below where sources are mixed.
    """

    weights: Weights = field(default_factory=lambda: NO_WEIGHTS)  # [52] 0 where not sent
    """In the order of ARKIT_NAMES, 0..1; for a mixer also as an app sends them, about 0..1."""
    sent: Mask = field(default_factory=lambda: NONE_SENT)  # [52] which weights it says
    codes: FlameCodes | None = None
    """The rig's own codes, in place of weights."""
    head: HeadPose | None = None
    camera: Camera | None = None
    morph: float | None = None
    """Share of the avatar that the session's morphs into, 0..1."""
    source: str = ""
    """Which of a session's sources it is: a gateway's name, DRIVE, WEBCAM or AUDIO."""
    pts_ns: int = NO_PTS
    """On the sender's clock, 0 or more; NO_PTS if it has none."""
    mouth_hidden: float = 0.0
    """How little of the mouth is seen, 0..1."""
    subject: str = ""
    """Whom or what an app says it tracks."""
    faults: tuple[str, ...] = ()
    """What a packet held besides that could not be read, and is left out."""

    @property
    def has_face(self) -> bool:
        """Whether it says anything of the face or of how the head is held."""
        return self.codes is not None or self.head is not None or bool(self.sent.any())

    @property
    def neck_pose(self) -> AxisAngle:
        """How the head is turned on its neck; forward where it says nothing of it."""
        return FORWARD if self.head is None else self.head.neck_pose

    def weight(self, name: str) -> float:
        """One weight by ARKit's name, 0 where it was not sent."""
        return float(self.weights[ARKIT_INDEX[name]])

    def named(self) -> dict[str, float]:
        """The weights that were sent, by ARKit's name."""
        pairs = zip(ARKIT_NAMES, self.weights.tolist(), self.sent, strict=True)
        return {name: weight for name, weight, sent in pairs if sent}

    def after(self, before: Signal) -> Signal:
        """The same, with what it says nothing of as it was before.

        A face without a head is held straight.
        """
        face = self if self.codes is not None or self.sent.any() else before
        held = self.head or (HeadPose() if face is self else before.head)
        return replace(
            self,
            weights=face.weights,
            sent=face.sent,
            codes=face.codes,
            head=held,
            camera=self.camera or before.camera,
            morph=before.morph if self.morph is None else self.morph,
            pts_ns=before.pts_ns if self.pts_ns == NO_PTS else self.pts_ns,
        )


def weights_of(named: Mapping[str, float]) -> tuple[Weights, Mask]:
    """Weights by ARKit's name -> [52], and which were sent [52]: the first two of a Signal.

    Raises DriveError for names that are not ARKit's.
    """
    if unknown := named.keys() - ARKIT_INDEX.keys():
        raise DriveError(f"not ARKit names: {sorted(unknown)}")
    weights, sent = NO_WEIGHTS.copy(), NONE_SENT.copy()
    places = [ARKIT_INDEX[name] for name in named]
    weights[places] = [*named.values()]
    sent[places] = True
    return weights, sent


def flame_codes(signal: Signal, basis: ArkitBasis, rest: FlameCodes) -> FlameCodes:
    """The rig's codes that a signal asks for; `rest` is the head of whom nobody drives."""
    codes = signal.codes or rest
    if signal.codes is None and signal.sent.any():
        codes = arkit_vector_to_flame(torch.from_numpy(signal.weights), basis)
    if signal.head is None:
        return codes
    return replace(
        codes,
        neck_pose=torch.tensor(signal.head.neck_pose),
        global_orient=torch.tensor(signal.head.global_orient),
        transl=torch.tensor(signal.head.transl),
    )
