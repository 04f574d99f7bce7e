"""RePRI: Boudiaf et al., "Few-Shot Segmentation Without Meta-Learning: A Good Transductive Inference Is All You Need?".

CVPR 2021. A network is trained to name the pixels of the base classes; nothing is meta-learnt. For each episode a small
classifier is fitted to the labelled support and the unlabelled query together. Facts from
mboudiaf/RePRI-for-Few-Shot-Segmentation at aa54b19, src/classifier.py, src/test.py, src/train.py, src/model/pspnet.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.staged import StagedBackbone, staged
from fssbench.errors import UsageError
from fssbench.label_values import IGNORE
from fssbench.layers.losses import smoothed_pixel_loss
from fssbench.layers.pyramid_pooling import PyramidPooling
from fssbench.methods.base.joint import JointMethod
from fssbench.methods.base.method import Prediction, TrainingBatch
from fssbench.methods.base.staged import adopt, decide_each

_EPS = 1e-10
_SMOOTHING = 0.1


@dataclass(frozen=True, eq=False)
class RePRIMaps:
    """Features of B images.

    Attributes:
        features: z, of length 1 at each position, (B, C, h, w).
        counted: 1 where a position takes part in the fit when the image is the query, else 0, (B, h, w).
        size: (height, width) of the images.
    """

    features: Tensor
    counted: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class RePRISupport:
    """What is kept of B support images.

    Attributes:
        features: z, of length 1 at each position, (B, C, h, w).
        labels: Of each position 0, 1, or 255 where it is left out, uint8 (B, h, w).
    """

    features: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class Classifier:
    """The classifier of B episodes.

    Attributes:
        w: The prototype, (B, C).
        b: The bias, (B,). Quirk: in the release it is taken off after the temperature, in the paper before.
    """

    w: Tensor
    b: Tensor


class RePRI(JointMethod[RePRIMaps, RePRISupport]):
    """Base training, and region proportion regularised inference, in the order of the paper.

    The release infers alike on all data sets and for all K, but for the weights, which are 1 / K.

    Args:
        backbone: Name of the backbone.
        way: 1.
        shot: K.
        base_classes: Number of the base classes of a fold: 15 on PASCAL-5i, 60 on COCO-20i.
        width: Channels C of the features.
        temperature: tau, by which cosines are multiplied.
        iterations: The fit makes one step less.
        rate: Its learning rate.
        proportion_at: t_pi: before this iteration the proportion is estimated a second and last time.

    Raises:
        UsageError: If there is no base class.
    """

    def __init__(
        self,
        backbone: str,
        way: int,
        shot: int,
        base_classes: int = 15,
        width: int = 512,
        temperature: float = 20.0,
        iterations: int = 50,
        rate: float = 0.025,
        proportion_at: int = 10,
    ) -> None:
        if base_classes < 1:
            raise UsageError(f"repri needs at least one base class, not {base_classes}")
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        self.base_classes = base_classes
        self.temperature, self.iterations, self.rate = temperature, iterations, rate
        self.proportion_at = proportion_at
        self._stages = adopt(self, staged(backbone))
        self.ppm = PyramidPooling(self.stages.channels[-1])
        self.bottleneck = nn.Sequential(
            nn.Conv2d(self.ppm.channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout2d(0.1),
        )
        self.classifier = nn.Conv2d(width, base_classes + 1, 1)

    @property
    def stages(self) -> StagedBackbone:
        """The backbone, which is trained with the rest."""
        return self._stages[0]

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a backbone's own file under their names in the method."""
        return self.stages.from_imagenet(state)

    # Base training.

    def extract(self, image: Tensor) -> Tensor:
        """Return the features (B, C, h, w) of images float32 (B, 3, H, W): what PSPNet's classifier reads."""
        _, layer3 = self.stages.shallow(image)
        return self.pooled(self.stages.deep(layer3))

    def pooled(self, layer4: Tensor) -> Tensor:
        """Return the features (B, C, h, w) of maps of layer4."""
        features: Tensor = self.bottleneck(self.ppm(layer4))
        return features

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "base": the cross entropy of background and base classes, with smoothed labels."""
        logits = self.classifier(self.extract(batch.query))
        return {"base": smoothed_pixel_loss(logits, batch.query_labels.long(), _SMOOTHING)}

    # Inference.

    def encode(self, image: Tensor) -> RePRIMaps:
        """Return the features of images; as queries all their positions are counted."""
        features = F.normalize(self.extract(image), dim=1)
        height, width = image.shape[-2:]
        return RePRIMaps(features, features.new_ones(len(features), *features.shape[-2:]), (height, width))

    def leave_out(self, query: RePRIMaps, ignored: Tensor) -> RePRIMaps:
        """Return queries of which some pixels take no part in the fit.

        Quirk: the release reads them from the query's label map: the padding, and pixels labelled 255.

        Args:
            query: Of B queries.
            ignored: bool (B, H, W).
        """
        counted = 1.0 - _nearest(ignored, query.features)
        return replace(query, counted=counted.to(query.features.dtype))

    def condition(self, features: RePRIMaps, mask: Tensor) -> RePRISupport:
        """Return features and labels of supports; pixels labelled 255 are left out."""
        return RePRISupport(features.features, _nearest(mask, features.features).to(torch.uint8))

    def predict_batch(
        self, query: RePRIMaps, supports: Sequence[Sequence[RePRISupport]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes: logits are the probabilities of background and foreground.

        What is fitted belongs to the call: gradients reach no parameter, and no tensor that was given.
        """
        device = query.features.device.type
        with torch.inference_mode(mode=False), torch.enable_grad(), torch.autocast(device, enabled=False):
            z_q, counted = _own(query.features), _own(query.counted)
            z_s = torch.stack([_own(shot.features) for shot in supports[0]], dim=1)
            labels = torch.stack([shot.labels.clone() for shot in supports[0]], dim=1)
            fitted = self.fit(z_q, counted, z_s, labels)
            cosines = self.temperature * cosine(z_q, fitted.w)
        resized = F.interpolate(cosines[:, None], query.size, mode="bilinear", align_corners=True)
        probabilities = posterior(resized[:, 0], fitted.b)
        return decide_each(probabilities, query.size, sizes)

    def fit(self, z_q: Tensor, counted: Tensor, z_s: Tensor, labels: Tensor) -> Classifier:
        """Return the classifier of B episodes, fitted by gradient descent on Eq. 1.

        Args:
            z_q: Features of the queries, (B, C, h, w).
            counted: 1 where a position of them is counted, else 0, (B, h, w).
            z_s: Features of the supports, (B, K, C, h, w).
            labels: Of their positions, uint8 (B, K, h, w) in {0, 1, 255}.
        """
        c = self.first(z_q, z_s, labels)
        pi = proportion(self.p(z_q, c), counted).detach()
        lambda_kl = lambda_h = 1.0 / z_s.shape[1]
        # Quirk: 49 steps in 50 iterations.
        for t in range(1, self.iterations):
            w, b = c.w.detach().requires_grad_(), c.b.detach().requires_grad_()
            c = Classifier(w, b)
            p_q = self.p(z_q, c)
            p_s = torch.stack([self.p(z, c) for z in z_s.unbind(dim=1)], dim=1)
            objective = (
                cross_entropy(p_s, labels)
                + lambda_h * entropy(p_q, counted)
                + lambda_kl * divergence(proportion(p_q, counted), pi)
            )
            # The episodes' objectives do not depend on each other.
            of_w, of_b = torch.autograd.grad(objective.sum(), (w, b))
            c = Classifier((w - self.rate * of_w).detach(), (b - self.rate * of_b).detach())
            if t + 1 == self.proportion_at:
                pi = proportion(self.p(z_q, c), counted).detach()
                lambda_kl += 1.0
        return c

    def first(self, z_q: Tensor, z_s: Tensor, labels: Tensor) -> Classifier:
        """Return the classifier before the fit.

        w is the mean feature of the supports' foreground, of all shots at once; b the mean of the query's scaled
        cosines with it, padding included.
        """
        inside = (labels == 1).to(z_s.dtype)[:, :, None]
        w = (z_s * inside).sum(dim=(1, 3, 4)) / (inside.sum(dim=(1, 3, 4)) + _EPS)
        return Classifier(w, self.temperature * cosine(z_q, w).mean(dim=(1, 2)))

    def p(self, z: Tensor, c: Classifier) -> Tensor:
        """Return the probabilities (B, 2, h, w) of background and foreground at each position of z (B, C, h, w)."""
        return posterior(self.temperature * cosine(z, c.w), c.b)


def cosine(z: Tensor, w: Tensor) -> Tensor:
    """Return the cosine of each position of z (B, C, h, w) with w (B, C): (B, h, w)."""
    dot = torch.einsum("bchw,bc->bhw", z, w)
    found: Tensor = dot / (z.norm(dim=1) * w.norm(dim=1)[:, None, None] + _EPS)
    return found


def posterior(scores: Tensor, b: Tensor) -> Tensor:
    """Return the probabilities (B, 2, h, w) of background and foreground for scores (B, h, w) and biases (B,)."""
    s = torch.sigmoid(scores - b[:, None, None])
    return torch.stack([1.0 - s, s], dim=1)


def cross_entropy(p: Tensor, labels: Tensor) -> Tensor:
    """Return CE (B,), Eq. 2: the mean over the labelled positions of all shots.

    Args:
        p: Probabilities of the supports' positions, (B, K, 2, h, w).
        labels: uint8 (B, K, h, w) in {0, 1, 255}.
    """
    truth = torch.stack([labels == 0, labels == 1], dim=2).to(p.dtype)
    labelled = (labels != IGNORE).sum(dim=(1, 2, 3)).clamp(min=1)
    return -(truth * torch.log(p + _EPS)).sum(dim=(1, 2, 3, 4)) / labelled


def entropy(p: Tensor, counted: Tensor) -> Tensor:
    """Return H (B,), Eq. 3: the mean Shannon entropy of the query's positions; shapes as in `proportion`."""
    each = -(p * torch.log(p + _EPS)).sum(dim=1)
    return (counted * each).sum(dim=(1, 2)) / counted.sum(dim=(1, 2)).clamp(min=1)


def proportion(p: Tensor, counted: Tensor) -> Tensor:
    """Return the mean prediction of a query, (B, 2), of Eq. 4: the parts of background and foreground.

    Args:
        p: Probabilities of the query's positions, (B, 2, h, w).
        counted: 1 where a position is counted, else 0, (B, h, w).
    """
    return (counted[:, None] * p).sum(dim=(2, 3)) / counted.sum(dim=(1, 2)).clamp(min=1)[:, None]


def divergence(p: Tensor, pi: Tensor) -> Tensor:
    """Return D_KL(p || pi), (B,), Eq. 4, of proportions (B, 2)."""
    # Where no position is counted p is 0, and so is each term.
    return (p * torch.log(p.clamp(min=torch.finfo(p.dtype).tiny) / (pi + _EPS))).sum(dim=1)


def _nearest(labels: Tensor, like: Tensor) -> Tensor:
    """Return label maps (B, H, W) at the size of a map (B, C, h, w), each position the nearest pixel's value."""
    return F.interpolate(labels[:, None].float(), like.shape[-2:], mode="nearest")[:, 0]


def _own(tensor: Tensor) -> Tensor:
    """Return a copy of at least float32; made out of inference mode it may be a part of what has a gradient."""
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32), copy=True)
