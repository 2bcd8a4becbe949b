"""What an expression changes of an avatar: P's dynamic UNet, run for one person frame by frame."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.avatar.compiled_unet import (
    CompiledUNet,
    add_border,
    can_compile,
    depth_major,
    remove_border,
)
from flexavatar.avatar.uv_maps import UvLayout, uv_layout
from flexavatar.errors import InputError, ShapeError
from flexavatar.head.open_head import load_open_head
from flexavatar.models.channels import CHANNELS, MAP_CHANNELS, channel_mask
from flexavatar.models.config import QUERY_LRM_PRESETS
from flexavatar.models.query_lrm import DRIVE_UNIT, DynamicUNet
from flexavatar.models.weights import load_matching_query_lrm
from flexavatar.render.deform import SurfaceSampler
from flexavatar.types import check_shape, to_device

FINGERPRINT = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Dynamics:
    """What P's dynamic UNet needs to change an avatar with its expression."""

    identity: Tensor  # [C, W, W] F_id
    splats: Tensor  # [D] int64, rising: which of the avatar's Gaussians change
    cells: Tensor  # [D] int64: row * U + col of each in the static chart of side U
    preset: str
    """Key of `models.config.QUERY_LRM_PRESETS`."""
    weights: str
    """Fingerprint (SHA-256 in hex) of the weights that `identity` belongs to."""
    amounts: Tensor | None = None  # [D] 0..1 how much of its change each takes; None: all of it
    channels: tuple[str, ...] = tuple(CHANNELS)
    """Of a Gaussian's numbers, by their names in CHANNELS, those that change."""

    def __post_init__(self) -> None:
        """Raises InputError for unknown names or no fingerprint, ShapeError for sizes."""
        if self.preset not in QUERY_LRM_PRESETS:
            raise InputError(
                f"preset: expected one of {', '.join(QUERY_LRM_PRESETS)}, got {self.preset!r}"
            )
        if not FINGERPRINT.fullmatch(self.weights):
            raise InputError(f"weights: expected a SHA-256 in hex, got {self.weights[:80]!r}")
        channel_mask(self.channels)
        config = QUERY_LRM_PRESETS[self.preset]
        check_shape("identity", self.identity, config.identity, *(config.drive_side,) * 2)
        check_shape("splats", self.splats, None)
        check_shape("cells", self.cells, len(self.splats))
        if self.amounts is not None:
            check_shape("amounts", self.amounts, len(self.splats))
        if not _all_within(self.cells, config.chart**2):
            raise ShapeError(f"cells: expected texels of a chart of side {config.chart}")
        if bool((self.splats.diff() <= 0).any()):
            raise ShapeError("splats: expected rising numbers")

    def fits(self, count: int) -> bool:
        """Whether an avatar of `count` Gaussians has all that change."""
        return _all_within(self.splats, count)


def _all_within(ids: Tensor, count: int) -> bool:
    return not ids.numel() or (0 <= int(ids.min()) and int(ids.max()) < count)


@dataclass(frozen=True)
class Taps:
    """Where each changing Gaussian reads dG: bilinearly, under M_dyn."""

    rows: Tensor  # [D, 4] int64 into an ExpressionNetwork's result
    shares: Tensor  # [D, 4]
    count: int
    """Rows of the result."""

    def interpolate(self, change: Tensor) -> Tensor:
        """An ExpressionNetwork's result [R, 14] at the Gaussians: [D, 14]."""
        return torch.einsum("dkc,dk->dc", change[self.rows], self.shares)


class ExpressionNetwork:
    """The UNet for one person: what depends on the person alone is computed once.

    Its maps have a row a texel, R in all, in the order in which the UNet works: cell by cell of the
    folded map with a border of one cell, and within a cell the texels that its channels hold.
    """

    def __init__(self, dynamic: Dynamics) -> None:
        """It works where `dynamic` is, on the open head's chart.

        Raises AssetError where the weights are missing or are not those of `dynamic`.
        """
        model = load_matching_query_lrm(dynamic.preset, dynamic.weights)
        self._side, self._fold = model.config.drive_side, model.config.fold
        head = load_open_head()
        layout, device = uv_layout(head, model.config), dynamic.identity.device
        unet = copy.deepcopy(model.unet).to(device, torch.float32)
        with torch.inference_mode():
            person = unet.person_features(dynamic.identity[None].float())
        self._network = fold_texel_major(_restrict_channels(unet, dynamic.channels))
        self.person = add_border(person[0])
        """The network's first layer, as far as it depends on the person: bordered [.., .., w]."""
        with torch.inference_mode():
            self.rest_offset = -add_border(self._network.at_rest(person)[0])
        """What is added, so that a face at rest does not change: bordered [.., .., C]."""
        compiled = device.type == "cpu" and can_compile(unet)
        self._compiled = CompiledUNet(unet, self.person, self.rest_offset) if compiled else None
        count = (self._side + 2 * self._fold) ** 2
        order = self._row_numbers(layout.drive_texels.rows, layout.drive_texels.cols).to(device)
        binding = to_device(layout.drive_texels.binding, device)
        self._sampler = SurfaceSampler(
            len(head.template), binding, order, count, gain=1 / DRIVE_UNIT
        )
        self.taps = self._taps(dynamic, layout, count)

    def drive_map(self, moves: Tensor | None) -> Tensor:
        """`uv_maps.drive_map`, a row a texel: [V, 3] metres -> [R, 3].

        Valid until this thread's next call.
        """
        return self._sampler.sample(moves)

    def change(self, moves: Tensor | None) -> Tensor:
        """dG, a row a texel: [V, 3] -> [R, 14].

        `moves` are metres from the neutral head with neck and head held still; None is at rest.
        """
        cells = self._side // self._fold + 2
        drive = self.drive_map(moves).view(cells, cells, -1)
        if self._compiled:
            return self._compiled(drive).view(-1, MAP_CHANNELS)
        with torch.inference_mode():
            made = self._network(remove_border(self.person), remove_border(drive))
            return (add_border(made[0]) + self.rest_offset).view(-1, MAP_CHANNELS)

    def _row_numbers(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Number of the texel at (row, col) of the driving map: [...] int64."""
        fold = self._fold
        cell = (rows // fold + 1) * (self._side // fold + 2) + cols // fold + 1
        return cell * fold**2 + rows % fold * fold + cols % fold

    def _taps(self, dynamic: Dynamics, layout: UvLayout, count: int) -> Taps:
        rows, row_shares = _linear_taps(dynamic.cells.cpu() // layout.size, layout.size, self._side)
        cols, col_shares = _linear_taps(dynamic.cells.cpu() % layout.size, layout.size, self._side)
        rows, cols = rows[:, :, None], cols[:, None]
        shares = row_shares[:, :, None] * col_shares[:, None] * layout.motion_mask[0, rows, cols]
        places, shares = self._row_numbers(rows, cols).flatten(1), shares.flatten(1)
        if dynamic.amounts is not None:
            shares = shares * dynamic.amounts.cpu()[:, None]
        device = dynamic.identity.device
        return Taps(places.to(device), shares.to(device), count)


class JoinedNetworks:
    """Several people's networks of the same weights, run as one."""

    def __init__(self, networks: Sequence[ExpressionNetwork]) -> None:
        self._first = networks[0]
        self._person = torch.cat([remove_border(network.person) for network in networks])
        self._rest_offset = torch.stack([network.rest_offset for network in networks])

    @torch.inference_mode()
    def change(self, moves: Tensor) -> Tensor:
        """`ExpressionNetwork.change` of each, one after the other: [B, V, 3] -> [B R, 14]."""
        cells = self._rest_offset.shape[1]
        drive = self._first._sampler.sample_many(moves)
        drive = drive.view(len(moves), cells, cells, -1)[:, 1:-1, 1:-1].permute(0, 3, 1, 2)
        made = self._first._network(self._person, drive).permute(0, 2, 3, 1)
        bordered = torch.nn.functional.pad(made, (0, 0, 1, 1, 1, 1))
        return (bordered + self._rest_offset).reshape(-1, MAP_CHANNELS)


def _restrict_channels(unet: DynamicUNet, channels: Collection[str]) -> DynamicUNet:
    """The network, changed in place to put out zero in all channels but these."""
    mask = channel_mask(channels).to(unet.out.weight).repeat_interleave(unet.fold**2)
    unet.out.weight.data *= mask[:, None, None, None]
    if unet.out.bias is not None:
        unet.out.bias.data *= mask
    return unet


def fold_texel_major(unet: DynamicUNet) -> DynamicUNet:
    """The same network on maps that are folded already, a texel's channels side by side.

    It is changed in place. Where it had channel-major folding, [C * f * f], it now has [f * f * C].
    """
    depth, unet.fold = unet.fold**2, 1
    unet.drive.weight.data = depth_major(unet.drive.weight.data, depth, 1)
    unet.out.weight.data = depth_major(unet.out.weight.data, depth)
    if unet.out.bias is not None:
        unet.out.bias.data = depth_major(unet.out.bias.data, depth)
    return unet


def _linear_taps(places: Tensor, size: int, side: int) -> tuple[Tensor, Tensor]:
    """Along one axis of `side` texels, the two around places of `size` texels: [D, 2] each.

    As `interpolate(mode="bilinear", align_corners=False)` has it.
    """
    at = ((places.double() + 0.5) * side / size - 0.5).clamp_min(0)
    low = at.long()
    share = (at - low).float()
    return torch.stack((low, (low + 1).clamp_max(side - 1)), 1), torch.stack((1 - share, share), 1)
