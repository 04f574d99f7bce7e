"""CyCTR's cycle-consistent transformer: Zhang et al., NeurIPS 2021.

Facts from YanFangCS/CyCTR-Pytorch at 1a06183, model/cyc_transformer.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.errors import UsageError
from fssbench.layers.deformable import DeformableAttention
from fssbench.layers.sine_position import sine_position

_BLOCKED = -10000.0
_DROPOUT = 0.1
_POINTS = 9
_LAYERS = 2


@dataclass(frozen=True, eq=False)
class TokenBank:
    """The tokens of B episodes' supports.

    Attributes:
        tokens: (B, n, width).
        inside: bool (B, n): tokens of the object.
        padded: bool (B, n): tokens that are not attended to.
    """

    tokens: Tensor
    inside: Tensor
    padded: Tensor


class CycleConsistentTransformer(nn.Module):
    """Two blocks, each of self-alignment of the query and cross-alignment with the supports.

    Args:
        width: Channels.
        drawn: Number of object tokens, and of background tokens, in evaluation.
        wide: Whether training draws 0.6 to 4 times as many (1 shot), else 0.6 to 1.4 times.
    """

    def __init__(self, width: int, drawn: int, *, wide: bool) -> None:
        super().__init__()
        heads = 12 if width % 12 == 0 else 8
        if width % heads or width % 4:
            raise UsageError(f"width {width} can't be divided into heads", "choose a multiple of 8 or of 12")
        self.drawn, self.scale = drawn, (0.6, 4.0) if wide else (0.6, 1.4)
        self.level_embed = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, width)))
        self.cross_layers = nn.ModuleList(CycleConsistentAttention(width, heads) for _ in range(_LAYERS))
        self.qry_self_layers = nn.ModuleList(DeformableAttention(width, heads, _POINTS) for _ in range(_LAYERS))
        self.ffns = nn.ModuleList(FeedForward(width) for _ in range(2 * _LAYERS))
        self.layer_norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4 * _LAYERS))

    def forward(self, x: Tensor, padded: Tensor, bank: TokenBank, seed: int) -> Tensor:
        """Return the aligned maps of B queries, (B, width, h, w).

        Args:
            x: Maps of the queries, (B, width, h, w).
            padded: bool (B, h, w): positions of the queries' padding.
            bank: The supports.
            seed: Of the draw of tokens in evaluation.
        """
        size = (x.shape[-2], x.shape[-1])
        norms, position = iter(self.layer_norms), sine_position(padded, x.shape[1]) + self.level_embed
        q, chosen = rows(x), None
        for layer, (self_align, cross_align) in enumerate(zip(self.qry_self_layers, self.cross_layers, strict=True)):
            read = self_align(q + position, q, size, padded.flatten(1))
            q = next(norms)(q + F.dropout(read, _DROPOUT, self.training))
            q = next(norms)(self.ffns[2 * layer](q))
            if chosen is None or self.training:  # in evaluation both blocks have the same draw
                chosen = self.sampled(bank, seed)
            q = next(norms)(cross_align(q, chosen) + q)
            q = next(norms)(self.ffns[2 * layer + 1](q))
        return q.transpose(1, 2).reshape(x.shape)

    def sampled(self, bank: TokenBank, seed: int) -> TokenBank:
        """Mask-guided sparse sampling: return a draw of equally many object and background tokens.

        Where one kind is scarce it is taken whole, and filled up with the other.
        """
        count = self.drawn
        if self.training:
            low, high = self.scale
            count = int(count * (low + (high - low) * torch.rand(()).item()))
        draws = [
            _drawn(TokenBank(*one), count, None if self.training else torch.Generator().manual_seed(seed))
            for one in zip(bank.tokens, bank.inside, bank.padded, strict=True)
        ]
        stacked = zip(*(vars(draw).values() for draw in draws), strict=True)
        return TokenBank(*(torch.stack(part) for part in stacked))


class CycleConsistentAttention(nn.Module):
    """Attention to the support tokens from which the nearest query position leads back to a token of the same kind.

    Args:
        width: Channels, a multiple of `heads`.
        heads: Number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_fc = nn.Linear(width, width, bias=False)
        self.k_fc = nn.Linear(width, width, bias=False)
        self.v_fc = nn.Linear(width, width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        for layer in (self.q_fc, self.k_fc, self.v_fc, self.proj):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, query: Tensor, bank: TokenBank) -> Tensor:
        """Return what B queries (B, N, width) take over of the tokens, (B, N, width)."""
        q, k, v = (
            linear(part).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for linear, part in ((self.q_fc, query), (self.k_fc, bank.tokens), (self.v_fc, bank.tokens))
        )
        scores = (q @ k.transpose(2, 3)).mul_(q.shape[-1] ** -0.5)
        blocked = F.dropout(self.inconsistent(scores, bank.inside).to(scores.dtype), _DROPOUT, self.training) > 0
        weights = F.dropout(self.weights(scores, blocked | bank.padded[:, None]), _DROPOUT, self.training)
        read: Tensor = self.proj((weights @ v).transpose(1, 2).flatten(2))
        return F.dropout(read, _DROPOUT, self.training)

    def weights(self, scores: Tensor, blocked: Tensor) -> Tensor:
        """Return how much each query position takes of each token, (B, heads, N, n).

        Args:
            scores: Of query positions and tokens, (B, heads, N, n).
            blocked: bool (B, heads, n): tokens of which nothing is taken.
        """
        return torch.softmax(scores + penalty(blocked, scores), dim=-1)

    def inconsistent(self, scores: Tensor, inside: Tensor) -> Tensor:
        """Return the tokens whose cycle ends on the other side of the object's border, bool (B, heads, n).

        Args:
            scores: Of query positions and tokens, (B, heads, N, n).
            inside: bool (B, n): tokens of the object.
        """
        there = scores.argmax(dim=2)
        back = scores.argmax(dim=3).gather(2, there)
        kinds = inside[:, None].expand_as(there)
        return kinds != kinds.gather(2, back)


class FeedForward(nn.Module):
    """Two linear layers without bias, and the input added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second = nn.Linear(width, 3 * width, bias=False), nn.Linear(3 * width, width, bias=False)
        for layer in (first, second):
            nn.init.xavier_uniform_(layer.weight)
        self.layers = nn.Sequential(nn.Sequential(first, nn.ReLU(), nn.Dropout(_DROPOUT)), second)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum (B, N, width) of the input and what the layers make of it."""
        return x + F.dropout(self.layers(x), _DROPOUT, self.training)


def penalty(blocked: Tensor, scores: Tensor) -> Tensor:
    """Return what is added to the scores of tokens that are blocked, (B, heads, 1, n) of the scores' dtype."""
    return blocked[:, :, None].to(scores.dtype) * _BLOCKED


def _drawn(one: TokenBank, count: int, generator: torch.Generator | None) -> TokenBank:
    """Return a draw of the tokens (n, width) of one episode, object first."""
    kinds = [one.inside.nonzero()[:, 0], (~one.inside).nonzero()[:, 0]]
    objects, background = (len(kind) for kind in kinds)
    wanted: list[int | None] = [count, count]
    if objects < count:
        wanted = [None, 2 * count - objects]
    elif background < count:
        wanted = [2 * count - background, None]
    tokens, flagged = [], []
    for kind, most in zip(kinds, wanted, strict=True):
        if most is None:
            tokens.append(kind)
            flagged.append(kind)
            continue
        # A processor's generator: the draw is the same on every device.
        picked = torch.randperm(len(kind), generator=generator)[:most].to(kind.device)
        tokens.append(kind[picked])
        # Quirk: the place of a token among those of its kind is taken for its place among all tokens, so that the flags
        # of a draw are those of other tokens.
        flagged.append(picked)
    at, flags = torch.cat(tokens), torch.cat(flagged)
    return TokenBank(one.tokens[at], one.inside[flags], one.padded[flags])


def rows(maps: Tensor) -> Tensor:
    """Return maps (B, C, h, w) as rows, (B, h * w, C)."""
    return maps.flatten(2).transpose(1, 2)
