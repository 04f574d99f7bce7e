"""RePRI's fast form: folded convolutions, a cut pyramid head, and a fit whose gradient is written down."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fssbench.fast.bam import SplitPyramidHead
from fssbench.fast.folding import fold_form
from fssbench.fast.joint import FastJoint
from fssbench.label_values import IGNORE
from fssbench.methods.repri import _EPS, Classifier, RePRI


class FastRePRI(FastJoint, RePRI):
    """See `RePRI`."""

    def prepare(self) -> None:
        """Fold all parts, and cut the pyramid head."""
        fold_form(self, None)
        self.head = SplitPyramidHead(nn.Sequential(self.ppm, self.bottleneck))

    def pooled(self, layer4: Tensor) -> Tensor:
        """Return the features (B, C, h, w) of maps of layer4."""
        features: Tensor = self.head(layer4)
        return features

    @torch.no_grad()
    def fit(self, z_q: Tensor, counted: Tensor, z_s: Tensor, labels: Tensor) -> Classifier:
        """Return the classifier of B episodes, fitted as in `RePRI.fit`.

        The objective's derivative by each score is a sum of three terms; scores are linear in the features but for the
        length of w. So a step is two products with the features, whose own lengths are taken once.
        """
        first = self.first(z_q, z_s, labels)
        w, b = first.w, first.b
        shots = z_s.shape[1]
        # Positions (B, N, C), the query's first.
        z = torch.cat([z_q[:, None], z_s], dim=1).flatten(3).transpose(1, 2).flatten(2).transpose(1, 2).contiguous()
        lengths = z.norm(dim=2)
        of_query = z_q[0, 0].numel()
        m = counted.flatten(1) / counted.sum(dim=(1, 2)).clamp(min=1)[:, None]
        flat = labels.flatten(1)
        labelled = (flat != IGNORE).sum(dim=1).clamp(min=1)[:, None]
        on, off = ((flat == label).to(z.dtype) / labelled for label in (1, 0))
        pi: Tensor | None = None
        lambda_kl = lambda_h = 1.0 / shots
        for t in range(1, self.iterations):
            cosines, norm = _cosines(z, lengths, w)
            s = torch.sigmoid(self.temperature * cosines - b[:, None])
            s_q, s_s = s[:, :of_query], s[:, of_query:]
            if pi is None or t == self.proportion_at:
                pi = torch.stack([(m * (1.0 - s_q)).sum(dim=1), (m * s_q).sum(dim=1)], dim=1)
                lambda_kl += float(t == self.proportion_at)
            mean = torch.stack([(m * (1.0 - s_q)).sum(dim=1), (m * s_q).sum(dim=1)], dim=1)
            # By the probability s of each position.
            of_kl = (torch.log(mean.clamp(min=torch.finfo(mean.dtype).tiny) / (pi + _EPS)) + 1.0).diff(dim=1)
            of_h = _slope(1.0 - s_q) - _slope(s_q)
            of_q = m * (lambda_kl * of_kl + lambda_h * of_h)
            of_s = off / (1.0 - s_s + _EPS) - on / (s_s + _EPS)
            of_score = torch.cat([of_q, of_s], dim=1) * s * (1.0 - s)
            # By w: cosines are z w / (|z| |w| + eps).
            scaled = self.temperature * of_score / (lengths * norm + _EPS)
            along = (scaled * cosines * lengths).sum(dim=1, keepdim=True) / norm.clamp(min=torch.finfo(w.dtype).tiny)
            of_w = torch.bmm(scaled[:, None], z)[:, 0] - along * w
            w, b = w - self.rate * of_w, b + self.rate * of_score.sum(dim=1)
        return Classifier(w, b)


def _cosines(z: Tensor, lengths: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cosine of each position of z (B, N, C) with w (B, C), and the length of w (B, 1)."""
    norm = w.norm(dim=1, keepdim=True)
    return torch.bmm(z, w[..., None])[..., 0] / (lengths * norm + _EPS), norm


def _slope(p: Tensor) -> Tensor:
    """Return the derivative of p log(p + eps)."""
    return torch.log(p + _EPS) + p / (p + _EPS)
