"""An avatar of K: a code from which the network makes every Gaussian of every frame.

Kirschstein et al.: there is no skinning. The network says how an expression moves skin, and the
head's own motion, which is the camera's in the paper, is applied to all Gaussians as one piece.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from flexavatar.avatar.bias_sink_maps import BaseSplats, activate_gaussians, base_splats
from flexavatar.avatar.expression_network import FINGERPRINT
from flexavatar.avatar.poser import Poser, without_head_pose
from flexavatar.avatar.uv_maps import UvLayout, map_at_texels, uv_layout
from flexavatar.errors import InputError
from flexavatar.head.binding import LocalSplats, identity_like, matrix_to_quat, quat_multiply
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head
from flexavatar.models.bias_sink import PersonFeatures
from flexavatar.models.config import BIAS_SINK_PRESETS, BiasSinkConfig
from flexavatar.models.signal_vectors import flame_signal
from flexavatar.models.weights import load_matching_bias_sink
from flexavatar.render.blend import nlerp
from flexavatar.render.deform import Deformer
from flexavatar.types import Camera, FlameCodes, Gaussians, check_shape, to_device

NECK = 1
"""The joint whose transform carries the whole head."""


@dataclass(frozen=True)
class BiasSinkAvatar:
    """What is stored of a person; pose- and expression-free."""

    neutral: Tensor  # [V, 3] this person at rest as tracked, hair included, metres
    code: Tensor  # [L, D] A
    camera: Camera  # how the first photo was taken: the default view
    codes: FlameCodes  # the first photo's expression and gaze
    preset: str
    """Key of `models.config.BIAS_SINK_PRESETS`."""
    weights: str
    """Fingerprint (SHA-256 in hex) of the weights that `code` belongs to."""
    warnings: tuple[str, ...] = ()
    """What was seen in the photos that will look wrong, in words."""

    def __post_init__(self) -> None:
        """Raises InputError for an unknown preset or no fingerprint, ShapeError for sizes."""
        if self.preset not in BIAS_SINK_PRESETS:
            known = ", ".join(BIAS_SINK_PRESETS)
            raise InputError(f"preset: expected one of {known}, got {self.preset!r}")
        if not FINGERPRINT.fullmatch(self.weights):
            raise InputError(f"weights: expected a SHA-256 in hex, got {self.weights[:80]!r}")
        config = self.config
        check_shape("neutral", self.neutral, None, 3)
        check_shape("code", self.code, config.query_side**2, config.width)
        check_shape("viewmat", self.camera.viewmat, 4, 4)
        check_shape("K", self.camera.K, 3, 3)

    def __len__(self) -> int:
        return len(self.layout.texels.zones)

    @property
    def config(self) -> BiasSinkConfig:
        """Sizes of its network."""
        return BIAS_SINK_PRESETS[self.preset]

    @cached_property
    def layout(self) -> UvLayout:
        """The chart that its Gaussians are texels of."""
        return uv_layout(load_open_head(), self.config)

    @property
    def model(self) -> str:
        """What made it."""
        return "bias_sink"

    def is_finite(self) -> bool:
        """No NaN and no infinity anywhere: a renderer may have it."""
        values = (self.neutral, self.code, *vars(self.camera).values(), *vars(self.codes).values())
        return all(bool(torch.isfinite(x).all()) for x in values if isinstance(x, Tensor))


class BiasSinkAnimator(Poser):
    """Turns codes into Gaussians: the network is run for every instant."""

    def __init__(self, avatar: BiasSinkAvatar, head: FlameHead | None = None) -> None:
        """Raises AssetError on another rig, or where its weights are not those installed."""
        super().__init__(avatar.neutral, head)
        self.avatar = avatar
        model, device = load_matching_bias_sink(avatar.preset, avatar.weights), avatar.code.device
        self._decoder = copy.deepcopy(model.decoder).to(device)
        self._texels = to_device(avatar.layout.texels, device)
        self._start = base_splats(avatar.config, self.head, avatar.neutral, self._texels)
        self._deformer: Deformer | None = None
        if avatar.config.base == "driven" and self._start.discs is not None:
            mesh = (avatar.neutral, self.head.faces, self._texels.binding)
            self._deformer = Deformer(*mesh, self._start.discs)
        with torch.inference_mode():
            self._person = self._decoder.person_features(avatar.code)

    def animate(self, codes: FlameCodes) -> Gaussians:
        """One instant: unbatched codes -> Gaussians in the head frame."""
        return self.decode(self.decoder_inputs(codes), codes)

    def decoder_inputs(self, codes: FlameCodes) -> DecoderInputs:
        """The person with this expression, as the network needs it."""
        return DecoderInputs(self._person, self._driven_base(codes), self.transforms(codes)[NECK])

    def _driven_base(self, codes: FlameCodes) -> BaseSplats:
        """What `bias_sink_maps.drive_base` computes, compiled on the CPU."""
        if self._deformer is None:
            return self._start
        places, quats, scales = self._deformer.deform(self.vertices(without_head_pose(codes)))
        offsets = self._deformer.splats.offsets
        return BaseSplats(places, LocalSplats(offsets, quats, scales))

    @torch.inference_mode()
    def decode(self, posed: DecoderInputs, codes: FlameCodes) -> Gaussians:
        """What the network makes of it."""
        maps = self._decoder(posed.person, flame_signal(without_head_pose(codes))[None], "3d")
        still = activate_gaussians(map_at_texels(maps[0], self._texels.chart), posed.start)
        return move_rigidly(still, posed.head)


@dataclass(frozen=True)
class DecoderInputs:
    """A person in one instant, before the network is run."""

    person: PersonFeatures
    start: BaseSplats
    head: Tensor  # [4, 4] where the head is taken


class BiasSinkMorpher:
    """Two avatars driven as one, which a share makes the one, the other, or somebody between."""

    def __init__(self, a: BiasSinkAvatar, b: BiasSinkAvatar, head: FlameHead | None = None) -> None:
        """Raises InputError for codes of different networks."""
        check_same_network(a, b)
        self._a, self._b = BiasSinkAnimator(a, head), BiasSinkAnimator(b, head)

    def __len__(self) -> int:
        return len(self._a.avatar)

    @torch.inference_mode()
    def animate(self, codes: FlameCodes, share: float) -> Gaussians:
        """One instant: unbatched codes and 0..1 -> Gaussians in the head frame."""
        return self._a.decode(
            _interpolate(self._a.decoder_inputs(codes), self._b.decoder_inputs(codes), share), codes
        )


def check_same_network(a: BiasSinkAvatar, b: BiasSinkAvatar) -> None:
    """Raise InputError unless both codes are of one network."""
    one, other = ((x.preset, x.weights) for x in (a, b))
    if one != other:
        names = (f"{preset} {weights[:12]}" for preset, weights in (one, other))
        raise InputError(f"codes: expected two of one network, got {' and '.join(names)}")


def _interpolate(a: DecoderInputs, b: DecoderInputs, share: float) -> DecoderInputs:
    """What is made of a code is linear in it until an expression comes."""

    def mixed(x: Tensor | None, y: Tensor | None) -> Tensor | None:
        return None if x is None or y is None else torch.lerp(x, y, share)

    pairs = zip(vars(a.person).values(), vars(b.person).values(), strict=True)
    places = torch.lerp(a.start.positions, b.start.positions, share)
    discs = a.start.discs
    if discs is not None and b.start.discs is not None:
        turns = nlerp(discs.quats, b.start.discs.quats, share)
        scales = torch.lerp(discs.scales, b.start.discs.scales, share)
        discs = replace(discs, quats=turns, scales=scales)
    person = PersonFeatures(*(mixed(x, y) for x, y in pairs))  # pyright: ignore[reportArgumentType]
    return DecoderInputs(person, BaseSplats(places, discs), torch.lerp(a.head, b.head, share))


def move_rigidly(gaussians: Gaussians, transform: Tensor) -> Gaussians:
    """All of them moved as one piece: a rigid [4, 4]."""
    if not transform.is_cuda and torch.equal(transform, identity_like(transform, 4)):
        return gaussians  # to the bit; asking a GPU would take longer than moving there
    turn, shift = transform[:3, :3], transform[:3, 3]
    return replace(
        gaussians,
        means=gaussians.means @ turn.T + shift,
        quats=quat_multiply(matrix_to_quat(turn), gaussians.quats),
    )
