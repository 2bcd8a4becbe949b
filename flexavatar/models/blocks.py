"""Parts that networks are built of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

GAIN = math.sqrt(2.0)
"""Keeps the size of what a leaky rectifier halves."""


class Network(nn.Module):
    """A whole network, which knows the frozen dataclass that it was made for."""

    config: Any


class Attention(nn.Module):
    """Multi-head attention from one set of tokens to another; both are normalised first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_query, self.norm_context = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.pair = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        """What `tokens` [B, L, D] take from `context` [B, M, D]: [B, L, D]."""
        query = self.query(self.norm_query(tokens))
        key, value = self.pair(self.norm_context(context)).chunk(2, -1)
        parts = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (query, key, value))
        found = functional.scaled_dot_product_attention(*parts)  # [B, heads, L, D / heads]
        return self.out(found.transpose(1, 2).flatten(-2))


class TokenBlock(nn.Module):
    """Attention and a feed-forward net, each added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.forth = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        """[B, L, D] with a look at [B, M, D]: [B, L, D]."""
        tokens = tokens + self.attention(tokens, context)
        return tokens + self.forth(tokens)


class ConvBlock(nn.Module):
    """Two 3x3 convolutions, added to what came in: [B, C, H, W] -> [B, C, H, W]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.silu(self.first(functional.silu(x))))


class Up(nn.Module):
    """Twice the side, by pixel-shuffle: [B, C, H, W] -> [B, C', 2 H, 2 W]."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(width, 4 * out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.spread(x), 2)


class Down(nn.Module):
    """Half the side: [B, C, H, W] -> [B, C', H / 2, W / 2]."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.gather = nn.Conv2d(width, out, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.gather(x)


class DemodulatedUpConv(nn.Module):
    """Twice the side: [B, C, H, W] -> [B, C', 2 H, 2 W].

    A transposed convolution whose weights have unit length, as StyleGAN2 demodulates them (Karras
    et al., CVPR 2020). Ours: no style, and a kernel of four, which learns the blur itself.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, out, 4, 4))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor) -> Tensor:
        length = self.weight.square().sum((0, 2, 3), keepdim=True).rsqrt()
        weight = 2 * self.weight * length  # each pixel meets a quarter of the kernel
        spread = functional.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)
        return GAIN * functional.leaky_relu(spread, 0.2)


class Upsampler(nn.Module):
    """h <- PixelShuffle(h) + CNN(x), x <- CNN(x), a level for each doubling."""

    def __init__(self, width: int, levels: Sequence[int], out: int, convolves: bool) -> None:
        """From `width` channels to `out`; `convolves` False leaves the second term out."""
        super().__init__()
        cell = 4 ** len(levels)
        self.skip = nn.Identity() if width == out * cell else nn.Conv2d(width, out * cell, 1)
        self.levels = len(levels)
        self.convs, self.adds = nn.ModuleList(), nn.ModuleList()
        for level, (before, after) in enumerate(zip((width, *levels), levels, strict=False), 1):
            if convolves:
                self.convs.append(DemodulatedUpConv(before, after))
                self.adds.append(nn.Conv2d(after, out * cell // 4**level, 1))

    def forward(self, x: Tensor, start: Tensor | None = None) -> Tensor:
        """[B, C, H, W] -> [B, out, 2^n H, 2^n W]; `start` is added before pixels are spread."""
        h = self.skip(x) if start is None else self.skip(x) + start
        for level in range(self.levels):
            h = functional.pixel_shuffle(h, 2)
            if self.convs:
                x = self.convs[level](x)
                h = h + self.adds[level](x)
        return h


def zero_init(layer: Layer) -> Layer:
    """The layer with weights and bias of zero: it adds nothing until it is trained."""
    with torch.no_grad():
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return layer
