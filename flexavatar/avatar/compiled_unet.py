"""The dynamic UNet compiled, on the threads that the renderer has.

torch's own threads spin while they wait; on cores that others use too, or between the renderer's
stages, that costs many times what the network does.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flexavatar.models.query_lrm import DynamicUNet
from flexavatar.render import native
from flexavatar.render.deform import LANES, posed_input


def add_border(picture: Tensor) -> Tensor:
    """[C, H, W] -> channels last with a border of one zero: [H + 2, W + 2, C]."""
    return nn.functional.pad(picture.permute(1, 2, 0), (0, 0, 1, 1, 1, 1)).contiguous()


def remove_border(picture: Tensor) -> Tensor:
    """The way back, for a network that takes many: [H + 2, W + 2, C] -> [1, C, H, W]."""
    return picture[1:-1, 1:-1].permute(2, 0, 1)[None]


@dataclass(frozen=True)
class FeatureMap:
    """Somewhere to write a layer's output."""

    raw: Tensor  # [H + 2, W + 2, C]
    active: Tensor  # the same after silu


class LayerPlan:
    """Layers with the buffers between them, in the order in which they run."""

    def __init__(self) -> None:
        self.layers: list[native.Layer] = []
        self.kept: list[Tensor] = []

    def conv(
        self, layer: nn.Conv2d, source: Tensor, add: Tensor | None = None, spread: int = 1
    ) -> FeatureMap:
        """One layer from a bordered picture to another; `spread` as in native/conv.h."""
        outputs, inputs, kernel, _ = layer.weight.shape
        stride = layer.stride[0]
        height, width = ((x - 2) // stride for x in source.shape[:2])
        weight = depth_major(layer.weight.detach(), spread**2)
        bias = layer.bias if layer.bias is not None else layer.weight.new_zeros(outputs)
        packed = weight.unflatten(0, (-1, LANES)).permute(0, 3, 4, 2, 1).contiguous()
        shape = (height * spread + 2, width * spread + 2, outputs // spread**2)
        made = FeatureMap(torch.zeros(shape), torch.zeros(shape))
        kept = (source, packed, depth_major(bias.detach(), spread**2).contiguous())
        sizes = (width, height, inputs, outputs, kernel, stride, source.shape[1] - 2, spread)
        places = [x.data_ptr() for x in kept]
        places += [add.data_ptr() if add is not None else 0]
        places += [made.raw.data_ptr(), made.active.data_ptr()]
        self.layers.append(native.Layer(*sizes, *places))
        self.kept += [*kept, made.raw, made.active, *([] if add is None else [add])]
        return made

    def block(self, layers: nn.Module, picture: FeatureMap) -> FeatureMap:
        """A ConvBlock."""
        inner = self.conv(_conv(layers, "first"), picture.active)
        return self.conv(_conv(layers, "second"), inner.active, picture.raw)

    def network(self, unet: DynamicUNet, person: Tensor, drive: Tensor, add: Tensor) -> Tensor:
        """All layers, and `add` on the last, bordered -> the buffer of the result."""
        assert isinstance(unet.drive, nn.Conv2d)
        x = self.conv(unet.drive, drive, person)
        skips: list[Tensor] = []
        for block, down in zip(unet.blocks, unet.downs, strict=False):
            x = self.block(block, x)
            skips.append(x.raw)
            x = self.conv(_conv(down, "gather"), x.raw)
        x = self.block(unet.blocks[-1], x)
        for up, back, skip in zip(
            reversed(unet.ups), reversed(unet.backs), reversed(skips), strict=True
        ):
            x = self.block(back, self.conv(_conv(up, "spread"), x.raw, skip, spread=2))
        return self.conv(unet.out, x.active, add).raw


def _conv(module: nn.Module, name: str) -> nn.Conv2d:
    layer = getattr(module, name)
    assert isinstance(layer, nn.Conv2d)
    return layer


def depth_major(values: Tensor, depth: int, axis: int = 0) -> Tensor:
    """Channels (C, depth) along an axis as (depth, C)."""
    return values.unflatten(axis, (-1, depth)).transpose(axis, axis + 1).flatten(axis, axis + 1)


def can_compile(unet: DynamicUNet) -> bool:
    """Whether there is a library, and the network has sizes that it takes."""
    convs = [layer for layer in unet.modules() if isinstance(layer, nn.Conv2d)]
    whole = all(layer.out_channels % LANES == 0 for layer in convs if layer is not unet.person)
    return whole and unet.by_map and native.library() is not None


class CompiledUNet:
    """A network after `fold_texel_major`, for one person. Any number of threads may use it."""

    def __init__(self, unet: DynamicUNet, person: Tensor, rest_offset: Tensor) -> None:
        """`person` [H + 2, W + 2, w], and `rest_offset` [H + 2, W + 2, C] to add, on the CPU.

        Both are read anew at every call.
        """
        self._unet, self._person, self._rest_offset = unet, person, rest_offset
        self._local = threading.local()

    def __call__(self, drive: Tensor) -> Tensor:
        """Bordered drive [H + 2, W + 2, C] to bordered dG, this thread's buffer."""
        library = native.library()
        assert library is not None
        if not hasattr(self._local, "tape"):
            tape = LayerPlan()
            still = torch.zeros_like(drive)
            self._local.result = tape.network(self._unet, self._person, still, self._rest_offset)
            self._local.tape = tape
            self._local.layers = (native.Layer * len(tape.layers))(*tape.layers)
        layers, result = self._local.layers, self._local.result
        source = posed_input("drive", drive, *drive.shape)
        layers[0].input = source.data_ptr()
        if library.flex_run_layers(layers, len(layers)):
            raise MemoryError("no memory to run the network")
        return result
