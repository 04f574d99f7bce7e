"""SCCAN's self-calibrated cross attention: Xu et al., ICCV 2023, section 3.

Facts from Sam1224/SCCAN at c4e7b40, model/swin_sccan.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.errors import UsageError

WINDOW = 8
"""Side of a patch, in positions."""
HEADS = 8
COSINE_EPS = 1e-7
_AREA_EPS = 5e-4


class SelfCalibratedTransformer(nn.Module):
    """Blocks of self-calibrated cross attention of a query with a support; every second one has its patches shifted.

    Args:
        width: Channels C, a multiple of `HEADS`.
        blocks: Number of blocks; the release has 8.

    Raises:
        UsageError: If `width` can't be divided into heads.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        if width % HEADS:
            raise UsageError(f"width {width} can't be divided into {HEADS} heads", f"choose a multiple of {HEADS}")
        self.layers = nn.ModuleList([_Stage(width, blocks)])
        self.norm0 = nn.LayerNorm(width)

    def forward(self, query: Tensor, support: Tensor, mask: Tensor) -> Tensor:
        """Return the calibrated maps of B queries, (B, C, h, w).

        Args:
            query: (B, C, h, w); both sides are multiples of `WINDOW`.
            support: (B, C, h, w).
            mask: Of the support, (B, 1, h, w) in [0, 1].
        """
        q, s, m = (part.permute(0, 2, 3, 1) for part in (query, support, mask))
        for block in self.layers[0].get_submodule("blocks").children():
            q, s = block(q, s, m)
        normed: Tensor = self.norm0(q)
        return normed.permute(0, 3, 1, 2)


class SelfCalibratedBlock(nn.Module):
    """Patch alignment, then attention of each query patch to itself and to the support patch that resembles it most.

    Args:
        width: Channels C.
        shifted: Whether patches begin half a patch before the map. Quirk: the map is padded with zeros for that, so
            patches at its rim are attended to with the zeros; nothing is rolled or left out.
    """

    def __init__(self, width: int, *, shifted: bool) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1 = nn.LayerNorm(width)
        self.attn_q = ScaledCosineAttention(width)
        self.attn_s = ScaledCosineAttention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp_q = _Perceptron(width)
        self.mlp_s = _Perceptron(width)

    def forward(self, q: Tensor, s: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return query and support after the block, both (B, h, w, C).

        Args:
            q: The query, (B, h, w, C).
            s: The support, (B, h, w, C).
            mask: Of the support, (B, h, w, 1) in [0, 1].
        """
        q_patches, s_patches, m_patches = self.patches(self.norm1(q)), self.patches(self.norm1(s)), self.patches(mask)
        aligned = chosen_patches(s_patches, best_patches(q_patches, s_patches, m_patches))
        q = self.added(q, self.attn_q(q_patches, q_patches, aligned), self.mlp_q)
        s = self.added(s, self.attn_s(s_patches, s_patches), self.mlp_s)
        return q, s

    def patches(self, x: Tensor) -> Tensor:
        """Return the patches of maps (B, h, w, C), (B, n, WINDOW ** 2, C)."""
        if self.shifted:
            before = WINDOW // 2
            x = F.pad(x, (0, 0, before, WINDOW - before, before, WINDOW - before))
        batch, height, width, channels = x.shape
        cut = x.reshape(batch, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
        return cut.transpose(2, 3).reshape(batch, -1, WINDOW * WINDOW, channels)

    def added(self, x: Tensor, patches: Tensor, mlp: nn.Module) -> Tensor:
        """Return maps (B, h, w, C) to which what their patches have read is added, and then what the MLP makes of it.

        Args:
            x: The maps before the block.
            patches: (B, n, WINDOW ** 2, C); what was read at padded positions is dropped.
            mlp: Two linear layers.
        """
        x = x + self.whole(patches, x)
        total: Tensor = x + mlp(self.norm2(x))
        return total

    def whole(self, patches: Tensor, like: Tensor) -> Tensor:
        """Return the maps (B, h, w, C) of patches; what is at padded positions is dropped.

        Args:
            patches: (B, n, WINDOW ** 2, C).
            like: Maps of the same shape as the result.
        """
        batch, height, width, channels = like.shape
        before = WINDOW // 2 if self.shifted else 0
        more = WINDOW if self.shifted else 0
        rows, columns = (height + more) // WINDOW, (width + more) // WINDOW
        whole = patches.view(batch, rows, columns, WINDOW, WINDOW, channels).transpose(2, 3)
        whole = whole.reshape(batch, height + more, width + more, channels)
        return whole[:, before : before + height, before : before + width]


class ScaledCosineAttention(nn.Module):
    """Attention whose scores are scaled dot products with the own patch, and cosines with the aligned patch.

    Args:
        width: Channels C.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, patches: Tensor, own: Tensor, aligned: Tensor | None = None) -> Tensor:
        """Return what patches (B, n, P, C) read, of the same shape.

        Args:
            patches: From which the queries Q of attention are made.
            own: The first part of keys and values, (B, n, P, C).
            aligned: The second part, (B, n, P, C); default none.
        """
        q = _heads(self.q(patches))
        k, v = (_heads(part) for part in self.kv(own).chunk(2, dim=-1))
        scores = (q @ k.transpose(-2, -1)) * (q.shape[-1] ** -0.5)
        if aligned is not None:
            k_s, v_s = (_heads(part) for part in self.kv(aligned).chunk(2, dim=-1))
            lengths = q.norm(dim=-1, keepdim=True) @ k_s.norm(dim=-1, keepdim=True).transpose(-2, -1)
            # Quirk: cosines have no temperature, and one softmax is of both parts.
            scores = torch.cat([scores, (q @ k_s.transpose(-2, -1)) / (lengths + COSINE_EPS)], dim=-1)
            v = torch.cat([v, v_s], dim=-2)
        read: Tensor = self.proj((scores.softmax(dim=-1) @ v).transpose(-3, -2).flatten(-2))
        return read


class _Stage(nn.Module):
    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SelfCalibratedBlock(width, shifted=number % 2 == 1) for number in range(blocks))


class _Perceptron(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return made


def best_patches(query: Tensor, support: Tensor, mask: Tensor) -> Tensor:
    """Return for each query patch the support patch whose object resembles it most, int64 (B, n).

    Patches without a position of the object come last.

    Args:
        query: Patches, (B, n, P, C); of each the mean is taken.
        support: Patches, (B, n, P, C); of each the mean weighted by the mask.
        mask: Patches, (B, n, P, 1).
    """
    area = mask.sum(dim=2) + _AREA_EPS
    means = (support * mask).sum(dim=2) / area
    own = query.mean(dim=2)
    lengths = own.norm(dim=2)[:, :, None] * means.norm(dim=2)[:, None]
    cosine = (own @ means.transpose(1, 2)) / (lengths + COSINE_EPS)
    # Quirk: a patch counts as empty if its area is lost in the rounding of the sum.
    holds = (area[..., 0] != torch.tensor(_AREA_EPS, dtype=area.dtype)).to(cosine.dtype)
    rated: Tensor = (cosine + 1) / 2 * holds[:, None]
    return rated.argmax(dim=2)


def chosen_patches(patches: Tensor, chosen: Tensor) -> Tensor:
    """Return the patches (B, n, P, C) that were chosen, int64 (B, n), in their order."""
    return patches.gather(1, chosen[:, :, None, None].expand_as(patches))


def _heads(x: Tensor) -> Tensor:
    """Return tokens (B, n, P, C) by head, (B, n, HEADS, P, C / HEADS)."""
    return x.view(*x.shape[:-1], HEADS, -1).transpose(-3, -2)
