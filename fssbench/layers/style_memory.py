"""A memory of the styles of the source domain (MMT: Wang et al., CVPR 2022).

The style of an image is the mean and the standard deviation of each channel of its feature map. The paper has the
equations for writing, recalling and mixing styles; what it leaves open is listed at `fssbench.methods.mmt.MMT`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-5
_TEMPERATURE = 0.02


def style(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean mu_b and standard deviation v_b of each channel of feature maps (B, C, h, w), both (B, C).

    1e-5 is added to the variance.
    """
    variance, mean = torch.var_mean(features, dim=(2, 3), correction=0)
    return mean, (variance + _EPS).sqrt()


def restyled(features: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Return feature maps (B, C, h, w) normalised by their own style, with another style applied: f_norm * v + mu.

    Args:
        features: (B, C, h, w).
        mean: (B, C).
        deviation: (B, C).
    """
    own_mean, own_deviation = style(features)
    scale = deviation / own_deviation
    return features * scale[:, :, None, None] + (mean - own_mean * scale)[:, :, None, None]


class StyleMemory(nn.Module):
    """The meta-memory bank: N pairs {m_j, e_j} of a mean and a standard deviation.

    Both are parameters, so that the orthogonality loss trains them. `write` also changes them, without a gradient, and
    recalled styles carry no gradient.

    Args:
        items: N.
        channels: C of the feature maps.
        momentum: lambda of the update, in [0, 1].
        mix: alpha of the enhancement, in [0, 1]: the weight of an instance's own style.
    """

    written: Tensor

    def __init__(self, items: int, channels: int, momentum: float, mix: float) -> None:
        super().__init__()
        self.momentum, self.mix = momentum, mix
        self.means = nn.Parameter(torch.rand(items, channels))
        self.deviations = nn.Parameter(torch.rand(items, channels))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def write(self, mean: Tensor, deviation: Tensor) -> None:
        """Write the styles of a batch into the memory.

        The first N instances become the N items, one each. After that m_j = lambda m_j + (1 - lambda) sum_b s_M^{jb}
        mu_b, and e_j likewise with s_E and v_b. If the weights of an item sum to less than 1, the rest of the weight
        goes to the item itself.

        Args:
            mean: mu_b, (B, C).
            deviation: v_b, (B, C).
        """
        items, known = len(self.means), int(self.written)
        if known < items:
            place = slice(known, min(known + len(mean), items))
            self.means[place] = mean[: place.stop - known]
            self.deviations[place] = deviation[: place.stop - known]
            self.written.fill_(place.stop)
            return
        for kept, styles in ((self.means, mean), (self.deviations, deviation)):
            # An instance is written to the items that are most similar to it. The weights of an item sum to at most 1,
            # and the item keeps the rest. If they always summed to 1, all items would become equal.
            weights = (_cosine(kept, styles) / _TEMPERATURE).softmax(dim=0)
            received = weights.sum(dim=1, keepdim=True)
            weights = weights / received.clamp(min=1)
            kept.lerp_(weights @ styles + (1 - received).clamp(min=0) * kept, 1 - self.momentum)

    @torch.no_grad()
    def recall(self, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
        """Return the recalled style of instances: mu_b^M = sum_j s_M^{jb} m_j and v_b^M likewise, both (B, C).

        Args:
            mean: mu_b, (B, C).
            deviation: v_b, (B, C).
        """
        # A bank that is not full recalls from the items it has; an empty bank from its random items.
        known = int(self.written) or len(self.means)
        recalled = []
        for kept, styles in ((self.means[:known], mean), (self.deviations[:known], deviation)):
            weights = (_cosine(kept, styles) / _TEMPERATURE).softmax(dim=0)  # s^{jb}, normalised over the items
            recalled.append(weights.T @ kept)
        return recalled[0], recalled[1].clamp(min=0)

    def enhance(self, features: Tensor) -> Tensor:
        """Return f_enh = f_norm * v_mix + mu_mix for feature maps (B, C, h, w); each depends on its own style only.

        mu_mix = alpha mu_b + (1 - alpha) mu_b^M, and v_mix likewise.
        """
        mean, deviation = style(features)
        memory_mean, memory_deviation = self.recall(mean, deviation)
        return restyled(
            features, torch.lerp(memory_mean, mean, self.mix), torch.lerp(memory_deviation, deviation, self.mix)
        )

    def orthogonality(self) -> Tensor:
        """Return L_orth = 1 / (2 N^2) (sum_ij h_M^{ij} + sum_ij h_E^{ij}), a scalar.

        h^{ij} is the absolute cosine of items i and j, 0 for i = j.
        """
        different = 1 - torch.eye(len(self.means), device=self.means.device)
        between_means = (_cosine(self.means, self.means).abs() * different).sum()
        between_deviations = (_cosine(self.deviations, self.deviations).abs() * different).sum()
        return (between_means + between_deviations) / (2 * len(self.means) ** 2)


def _cosine(first: Tensor, second: Tensor) -> Tensor:
    return F.normalize(first, dim=1) @ F.normalize(second, dim=1).T
