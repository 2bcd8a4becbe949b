"""Multi-modal transformer blocks: two streams of tokens, each with weights of its own.

Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis" (ICML 2024),
without adaptive norms; queries and keys are normalised by their root mean square. Branches end in
zeros, so that a block passes on what came in until it is trained (ours).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from flexavatar.models.blocks import zero_init


class Stream(nn.Module):
    """One stream's weights: queries if it `asks`, keys and values if it `answers`, feed-forward."""

    def __init__(
        self, width: int, inner: int, heads: int, growth: float, asks: bool, answers: bool
    ) -> None:
        super().__init__()
        self.heads, self.asks, self.answers = heads, asks, answers
        self.norm = nn.LayerNorm(width)
        if answers:
            self.pair = nn.Linear(width, 2 * inner)
            self.key_norm = nn.RMSNorm(inner // heads)
        if asks:
            wide = round(growth * width)
            self.query = nn.Linear(width, inner)
            self.query_norm = nn.RMSNorm(inner // heads)
            self.out = zero_init(nn.Linear(inner, width))
            self.forth = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, wide), nn.GELU(),
                zero_init(nn.Linear(wide, width)),
            )  # fmt: skip

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def queries(self, normed: Tensor) -> Tensor:
        """[B, L, D] -> [B, heads, L, inner / heads]."""
        return self.query_norm(self._split_heads(self.query(normed)))

    def keys_and_values(self, normed: Tensor) -> tuple[Tensor, Tensor]:
        """[B, L, D] -> two [B, heads, L, inner / heads]."""
        key, value = self.pair(normed).chunk(2, -1)
        return self.key_norm(self._split_heads(key)), self._split_heads(value)

    def attend(self, tokens: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Tokens [B, L, D] plus the result of attention, plus a feed-forward net of the sum."""
        found = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.out(found.transpose(1, 2).flatten(-2))
        return tokens + self.forth(tokens)


class MmditBlock(nn.Module):
    """Attention of tokens and context.

    `joint`: all attend to all. Otherwise both attend to the context alone, and the cost
    does not grow with the square of the tokens. The `last` block of a stack leaves the context as
    it was: nobody reads it any more.
    """

    def __init__(
        self, width: int, context: int, inner: int, heads: int, growth: float, joint: bool,
        last: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.tokens = Stream(width, inner, heads, growth, asks=True, answers=joint)
        self.context = Stream(context, inner, heads, growth, asks=not last, answers=True)

    def forward(self, tokens: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """[B, L, D] and [B, M, C] -> the same, changed."""
        normed, other = self.tokens.norm(tokens), self.context.norm(context)
        key, value = self.context.keys_and_values(other)
        if self.tokens.answers:
            own = self.tokens.keys_and_values(normed)
            key, value = torch.cat((own[0], key), 2), torch.cat((own[1], value), 2)
        moved = self.tokens.attend(tokens, self.tokens.queries(normed), key, value)
        if self.context.asks:
            context = self.context.attend(context, self.context.queries(other), key, value)
        return moved, context


def mmdit_stack(
    blocks: int, width: int, context: int, inner: int, heads: int, growth: float, joint: bool
) -> nn.ModuleList:
    """Blocks one after the other."""
    return nn.ModuleList(
        MmditBlock(width, context, inner, heads, growth, joint, last=i == blocks - 1)
        for i in range(blocks)
    )


def run_blocks(blocks: nn.ModuleList, tokens: Tensor, context: Tensor) -> Tensor:
    """[B, L, D], [B, M, C] -> [B, L, D]."""
    for block in blocks:
        tokens, context = block(tokens, context)
    return tokens
