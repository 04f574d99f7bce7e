"""Methods that find the object with DINOv2 and outline it with SAM, both frozen: GF-SAM and Matcher."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from fssbench.backbones.dino import dino
from fssbench.backbones.sam import sam
from fssbench.backbones.sam_names import is_sam
from fssbench.errors import UsageError
from fssbench.methods.base.mask_only import mask_prediction
from fssbench.methods.base.method import Method, Prediction

Support = TypeVar("Support")
SIDE = 518
"""Side of the images that DINOv2 receives in the releases."""


@dataclass(frozen=True)
class Pictures:
    """What a method keeps of images.

    Attributes:
        tokens: float32 (B, N, C), DINOv2's patch tokens before the final norm, scaled as the method defines it.
        picture: uint8 (B, 3, h, w), what SAM receives; None once it has been embedded.
        embedding: (B, D, s, s), SAM's embedding; None before.
        size: (height, width) of the picture that masks are made for.
    """

    tokens: Tensor
    picture: Tensor | None
    embedding: Tensor | None
    size: tuple[int, int]

    @property
    def embedded(self) -> Tensor:
        """SAM's embedding of a prepared query."""
        assert self.embedding is not None  # noqa: S101 - of a prepared query it is known
        return self.embedding


class DinoSam(Method[Pictures, Support]):
    """Two frozen networks, named as in the golden cases: `encoder` is DINOv2, `sam` is SAM.

    SAM embeds queries only: what is kept of a support is made of DINOv2's tokens.

    Args:
        backbone: Two names joined by "+", e.g. "dinov2-vitl14+sam-vith".
        way: N, 1.
        shot: K.
    """

    query_of_features_alone = False

    def __init__(self, backbone: str, way: int, shot: int) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        encoder, plus, segmenter = backbone.partition("+")
        if not plus:
            raise UsageError(f"{type(self).__name__} needs a DINOv2 and a SAM, joined by +, not {backbone} alone")
        self.encoder = dino(encoder).requires_grad_(requires_grad=False)
        self.sam = sam(segmenter).requires_grad_(requires_grad=False)

    @property
    def shared_encoder(self) -> torch.nn.Module:
        """DINOv2: pictures for SAM are kept as they are until a query is prepared."""
        return self.encoder

    @property
    def encoded_with(self) -> int:
        """The side of the square that pictures for SAM are fitted into."""
        return self.sam.side

    @abstractmethod
    def encode(self, image: Tensor) -> Pictures:
        """Return DINOv2's tokens and the pictures for SAM, of images float32 (B, 3, H, W)."""

    def prepare_query(self, features: Pictures) -> Pictures:
        """Return a query with SAM's embedding in place of its picture."""
        if features.picture is None:
            return features
        with torch.no_grad():
            return replace(features, picture=None, embedding=self.sam(features.picture))

    def predict(self, query: Pictures, supports: Sequence[Sequence[Support]], size: tuple[int, int]) -> Prediction:
        """Return the prediction of one episode; without a mask of the object it is background."""
        target = self.prepare_query(query)
        with torch.autocast(target.tokens.device.type, enabled=False):
            found = self.mask(target, supports[0])
        if found is None:
            found = torch.zeros(target.size, dtype=torch.bool, device=target.tokens.device)
        return mask_prediction(found, size)

    @abstractmethod
    def mask(self, target: Pictures, supports: Sequence[Support]) -> Tensor | None:
        """Return the object's mask, bool (H, W), or None if nothing is found.

        Args:
            target: A prepared query.
            supports: K supports.
        """

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a file of DINOv2 or of SAM, under the authors' names or the hub's, under those here."""
        name, network = ("sam", self.sam) if is_sam(state) else ("encoder", self.encoder)
        return {f"{name}.{key}": value for key, value in network.names_here(state).items()}

    def from_release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of both networks, "encoder." and "sam." before the authors' or the hub's names."""
        renamed = dict(state)
        for name, network in (("encoder", self.encoder), ("sam", self.sam)):
            own = {key.removeprefix(f"{name}."): key for key in state if key.startswith(f"{name}.")}
            for key in own.values():
                del renamed[key]
            named = network.names_here({bare: state[key] for bare, key in own.items()})
            renamed |= {f"{name}.{key}": value for key, value in named.items()}
        return renamed


def central_square(size: tuple[int, int]) -> Tensor:
    """Return the mask float32 (H, W) that both releases take if all masks of an episode are empty: 14 x 14 pixels."""
    height, width = size
    mask = torch.zeros(size)
    mask[max(height // 2 - 7, 0) : height // 2 + 7, max(width // 2 - 7, 0) : width // 2 + 7] = 1
    return mask
