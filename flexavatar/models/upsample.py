"""From a coarse map to a fine one: convolutions beside a path that only spreads pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

GAIN = math.sqrt(2.0)
"""Keeps the size of what a leaky rectifier halves."""


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
