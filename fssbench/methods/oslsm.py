"""OSLSM: Shaban et al., "One-Shot Learning for Semantic Segmentation", BMVC 2017.

Facts from lzzcd001/OSLSM at d5312de, which is in Caffe: the network in os_semantic_segmentation/*.prototxt, its input
in code/ss_datalayer.py and ss_settings.py. Sections and symbols are the paper's. Its equations have no numbers here,
because of its text only the headings could be read.

Paper and release leave open, and here it was chosen:

- The hashing. The release has two fixed layers, whose matrices are in its caffemodels alone, and nothing that makes
  them. Here places and signs are drawn with a fixed seed and are part of the state dict, so that weights keep theirs.
  The offsets of these layers, fixed too, are zero.
- The fixed deconvolution, whose kernel is in the caffemodels alone. Here it interpolates bilinearly.
- Sizes. The release resizes each photo from its own size: a support to 224 x 224, a query to 500 x 500, in training not
  at all. A method here gets photos at the size of the protocol or recipe, and supports are resized from there. Photos
  of VOC are no larger than 500 x 500, so that queries differ by rounding alone; supports are a little smoother.
- The border of a resized photo, which scikit-image has changed between versions. Here it is repeated.
- The start. The release starts from Caffe's VGG-16, which classifies ImageNet. Here both branches take torchvision's,
  with the first convolution rescaled to the release's input.
- Which of the snapshots, one in 5,000 iterations, is evaluated.

The trained caffemodels, which are not read here, are linked in the release's README:
https://gtvault-my.sharepoint.com/:u:/g/personal/ashaban6_gatech_edu/EXS5Cj8nrL9CnIJjv5YkhEgBQt9WAcIabDQv22AERZEeUQ
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.vgg import convolutions, for_caffe_input
from fssbench.imagenet import IMAGENET_MEAN, IMAGENET_STD
from fssbench.layers.losses import summed_binary_loss
from fssbench.layers.masks import foreground
from fssbench.methods.base.joint import JointMethod
from fssbench.methods.base.method import Prediction, TrainingBatch

SUPPORT_SIDE = 224
"""Supports are seen at 224 x 224, where five pools leave the 7 x 7 that fc6 takes."""
PADDING = 121
"""Of the query's first convolution."""
STRIDE = 32
OFFSET = 40
"""Where the query begins in the upsampled scores: as much as `PADDING` and the 7 x 7 of fc6 have moved it."""
MEAN = (0.40787055, 0.45752459, 0.4810938)
"""Of blue, green and red, in 0..1."""
HASHING_SEED = 0
_LINEAR = {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}


@dataclass(frozen=True)
class Widths:
    """How wide both branches are.

    Attributes:
        convolutions: Channels of conv1 to conv5.
        hidden: Channels of fc6 and fc7: the dimension of w.
        codes: Outputs of fc8, m: what the hashing reads.
    """

    convolutions: tuple[int, ...]
    hidden: int
    codes: int


WIDTHS = {"vgg16": Widths((64, 128, 256, 512, 512), 4096, 1000), "small": Widths((4, 8, 16, 24, 32), 64, 32)}


@dataclass(frozen=True, eq=False)
class Photos:
    """B images as the network takes them: float32 (B, 3, H, W), blue, green and red, less the mean, in 0..255."""

    image: Tensor


@dataclass(frozen=True, eq=False)
class Dense:
    """B queries: `features` F_q (B, C, h, w), and the (height, width) of the images."""

    features: Tensor
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Classifier:
    """What B supports make of it: a logistic regression of positions, `weight` w (B, C) and `bias` b (B,)."""

    weight: Tensor
    bias: Tensor


class ConditioningBranch(nn.Module):
    """g_eta (section 4.1): a whole VGG-16, of which fc8 has no softmax behind it.

    Args:
        widths: How wide it is.
        dropout: Chance that an output of fc6 or fc7 is dropped in training.
    """

    def __init__(self, widths: Widths, dropout: float) -> None:
        super().__init__()
        self.features = convolutions(widths.convolutions, padding=1)
        self.fc6 = nn.Linear(widths.convolutions[-1] * 7 * 7, widths.hidden)
        self.fc7 = nn.Linear(widths.hidden, widths.hidden)
        self.fc8 = nn.Linear(widths.hidden, widths.codes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, image: Tensor) -> Tensor:
        """Return x (B, m) of masked supports (B, 3, 224, 224)."""
        x = self.features(image).flatten(1)
        for layer in (self.fc6, self.fc7):
            x = self.dropout(F.relu(layer(x)))
        codes: Tensor = self.fc8(x)
        return codes


class WeightHashing(nn.Module):
    """Weight hashing (section 4.1): theta_i = sign_i * x_place(i) makes few numbers into many; nothing is learned.

    It is the product with a fixed matrix that has one +-1 in each row.

    Args:
        codes: m, how many numbers there are.
        parameters: How many are made of them.
    """

    def __init__(self, codes: int, parameters: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(HASHING_SEED)
        places = torch.randint(codes, (parameters,), generator=generator, device="cpu")
        signs = torch.randint(2, (parameters,), generator=generator, device="cpu") * 2.0 - 1.0
        self.register_buffer("places", places)
        self.register_buffer("signs", signs)
        self.places: Tensor
        self.signs: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return theta (B, parameters) of x (B, m)."""
        return x[:, self.places] * self.signs


class SegmentationBranch(nn.Module):
    """phi_zeta (section 4.2): VGG-16 as FCN-32s has it, to fc7. It shares no weight with the conditioning branch.

    Args:
        widths: How wide it is.
        dropout: Chance that an output of fc6 or fc7 is dropped in training.
    """

    def __init__(self, widths: Widths, dropout: float) -> None:
        super().__init__()
        # Quirk: 121, where FCN-32s pads by 100.
        self.features = convolutions(widths.convolutions, padding=PADDING)
        self.fc6 = nn.Conv2d(widths.convolutions[-1], widths.hidden, 7)
        self.fc7 = nn.Conv2d(widths.hidden, widths.hidden, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, image: Tensor) -> Tensor:
        """Return F_q (B, C, h, w) of queries (B, 3, H, W)."""
        x: Tensor = self.features(image)
        for layer in (self.fc6, self.fc7):
            x = self.dropout(F.relu(layer(x)))
        return x


class OSLSM(JointMethod[Photos | Dense, Classifier]):
    """One-shot learning for semantic segmentation: a support makes the classifier of the query's positions.

    Args:
        backbone: "vgg16"; or "small", the same network with few channels, which starts from random weights.
        way: 1.
        shot: K.
        widths: Channels of conv1 to conv5, in both branches; default the backbone's.
        hidden: Channels of fc6 and fc7.
        codes: Outputs of fc8.
        dropout: Chance that an output of fc6 or fc7 is dropped in training.
    """

    query_of_features_alone = False

    def __init__(
        self,
        backbone: str,
        way: int,
        shot: int,
        widths: tuple[int, ...] | None = None,
        hidden: int | None = None,
        codes: int | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        usual = WIDTHS[backbone]
        self.widths = Widths(widths or usual.convolutions, hidden or usual.hidden, codes or usual.codes)
        self.conditioning = ConditioningBranch(self.widths, dropout)
        self.hashing = WeightHashing(self.widths.codes, self.widths.hidden + 1)
        self.segmentation = SegmentationBranch(self.widths, dropout)
        self.register_buffer("bilinear", bilinear_kernel(2 * STRIDE), persistent=False)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.bilinear: Tensor
        self.mean: Tensor
        initialise(self)

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of torchvision's VGG-16 under their names in both branches; nothing of another network."""
        if self.widths != WIDTHS["vgg16"]:
            return {}
        named: dict[str, Tensor] = {}
        for key, value in for_caffe_input(state, MEAN).items():
            layer, _, kind = key.rpartition(".")
            if re.fullmatch(r"features\.\d+", layer):
                named |= {f"conditioning.{key}": value, f"segmentation.{key}": value}
            elif layer in _LINEAR:
                name = _LINEAR[layer]
                named[f"conditioning.{name}.{kind}"] = value
                if name != "fc8":
                    named[f"segmentation.{name}.{kind}"] = _as_convolution(value, 7 if name == "fc6" else 1)
        return named

    def encode(self, image: Tensor) -> Photos:
        """Return images as the release feeds them; what comes next differs between queries and supports."""
        std, mean = (image.new_tensor(values).view(3, 1, 1) for values in (IMAGENET_STD, IMAGENET_MEAN))
        return Photos(((image * std + mean).flip(1) - self.mean) * 255)

    def condition(self, features: Photos | Dense, mask: Tensor) -> Classifier:
        """Return the classifier that each support makes (section 4.1); pixels labelled 255 count as background."""
        if isinstance(features, Dense):
            raise TypeError("OSLSM conditions on what its encode gives")
        size = (SUPPORT_SIDE, SUPPORT_SIDE)
        image = F.interpolate(features.image, size, mode="bilinear", align_corners=False)
        inside = F.interpolate(foreground(mask)[:, None], size, mode="nearest-exact")
        # The mean is off already: what is masked has the mean colour.
        theta = self.hashing(self.conditioning(image * inside.to(image.dtype)))
        return Classifier(theta[:, :-1], theta[:, -1])

    def prepare_query(self, features: Photos | Dense) -> Dense:
        """Return F_q of queries (section 4.2)."""
        if isinstance(features, Dense):
            return features
        height, width = features.image.shape[-2:]
        return Dense(self.segmentation(features.image), (height, width))

    def score(self, query: Dense, classifier: Classifier) -> Tensor:
        """Return w . F_q + b of every position, brought to the size of the query: (B, 1, H, W), before the sigmoid."""
        scores = torch.einsum("bc,bchw->bhw", classifier.weight, query.features) + classifier.bias[:, None, None]
        large = F.conv_transpose2d(scores[:, None], self.bilinear, stride=STRIDE)
        height, width = query.size
        return large[..., OFFSET : OFFSET + height, OFFSET : OFFSET + width]

    def joint_score(self, query: Dense, shots: Sequence[Classifier]) -> Tensor:
        """Return the scores of K shots, (B, 1, H, W): the largest (section 4.4), so that one shot is enough."""
        return torch.stack([self.score(query, support) for support in shots]).amax(dim=0)

    def predict_batch(
        self, query: Photos | Dense, supports: Sequence[Sequence[Classifier]], sizes: Sequence[tuple[int, int]]
    ) -> list[Prediction]:
        """Return the predictions of B episodes; logits are 0 for the background and the score before the sigmoid.

        A pixel is foreground where the sigmoid is above 0.5. For another size than the query's scores are resized.
        """
        scores = self.joint_score(self.prepare_query(query), supports[0])
        return [_decided(alone, size) for alone, size in zip(torch.split(scores, 1), sizes, strict=True)]

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return "segmentation" (section 4.3), the cross entropy of a query summed over its pixels."""
        query = self.prepare_query(self.encode(batch.query))
        shots = zip(batch.supports[:, 0].unbind(1), batch.support_masks[:, 0].unbind(1), strict=True)
        scores = self.joint_score(query, [self.condition(self.encode(images), masks) for images, masks in shots])
        loss = summed_binary_loss(scores[:, 0], batch.query_masks[:, 0], batch.foreground_weight)
        return {"segmentation": loss}


def bilinear_kernel(side: int) -> Tensor:
    """Return the kernel (1, 1, side, side) of a deconvolution that upsamples bilinearly by half its side."""
    distance = (torch.arange(side) - (side - 1) / 2).abs()
    line = 1.0 - distance / (side / 2)
    return (line[:, None] * line)[None, None]


@torch.no_grad()
def initialise(method: OSLSM) -> None:
    """Draw weights as large as keeps the spread of what they give, from the input's 0..255 to scores of about 1."""
    for module in method.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    for branch in (method.conditioning, method.segmentation):
        branch.get_parameter("features.0.weight").div_(255 * sum(IMAGENET_STD) / 3)
    method.conditioning.fc8.weight /= method.widths.hidden**0.5


def _as_convolution(value: Tensor, side: int) -> Tensor:
    if value.ndim != 2 or value.shape[1] % side**2:
        return value
    return value.reshape(len(value), -1, side, side)


def _decided(score: Tensor, size: tuple[int, int]) -> Prediction:
    if score.shape[-2:] != size:
        score = F.interpolate(score, size, mode="bilinear", align_corners=False)
    labels = score[0, 0] > 0
    return Prediction(F.pad(score[0], (0, 0, 0, 0, 1, 0)), labels.to(torch.uint8), labels.any().view(1))
