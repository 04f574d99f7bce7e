"""The Segment Anything Model, as transformers builds it, with the corrections that its authors' network needs.

Kirillov et al., "Segment Anything", ICCV 2023; facebookresearch/segment-anything. It has three parts: an image encoder,
which runs once for a picture, and an encoder of prompts and a mask decoder, which run for each prompt. Target-guided
attention and target-semantic prompting are PerSAM's (Zhang et al., ICLR 2024; ZrrSkywalker/Personalize-SAM@a7e8724,
per_segment_anything/modeling/transformer.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones.networks import built, network, transformers_library
from fssbench.backbones.sam_names import transformers_names
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

BATCH = 64
"""How many prompts the releases decode at once."""
_AFTER_SOFTMAX = "fssbench-guidance-after-softmax"
"""The name of PerSAM's attention among those of transformers."""


@dataclass(frozen=True)
class Frame:
    """Where a picture lies in SAM's square: at the top left, its longer side filling it.

    Attributes:
        picture: (height, width) of the picture.
        side: Side of the square in pixels.
    """

    picture: tuple[int, int]
    side: int

    @property
    def inside(self) -> tuple[int, int]:
        """(height, width) of the picture in the square."""
        scale = self.side * 1.0 / max(self.picture)
        height, width = (max(1, int(length * scale + 0.5)) for length in self.picture)
        return height, width

    def points(self, points: Tensor, of: tuple[int, int] | None = None) -> Tensor:
        """Return points float64 (..., 2) in pixels of the square.

        Args:
            points: (x, y) in pixels of the picture.
            of: (height, width) of a grid over the picture that the points are places of, in place of its pixels.
        """
        (height, width), (grid_height, grid_width) = self.inside, of or self.picture
        return points.double() * points.new_tensor([width / grid_width, height / grid_height], dtype=torch.float64)


@dataclass(frozen=True)
class Prompts:
    """P prompts for one picture.

    Attributes:
        points: (P, n, 2), (x, y) in pixels of the square; None for boxes alone.
        labels: int (P, n): 1 for a point of the object, 0 for one next to it; None without points.
        boxes: (P, 4), left, top, right, bottom; None for none.
        masks: float32 (P, 1, 4s, 4s): logits of an earlier mask at low resolution; None for none.
    """

    points: Tensor | None
    labels: Tensor | None
    boxes: Tensor | None = None
    masks: Tensor | None = None

    def batches(self) -> Iterator[Prompts]:
        """Yield the prompts in batches of at most `BATCH`."""
        given = (self.points, self.labels, self.boxes, self.masks)
        for start in range(0, max(len(one) for one in given if one is not None), BATCH):
            yield Prompts(*(None if one is None else one[start : start + BATCH] for one in given))


@dataclass(frozen=True)
class Guidance:
    """What PerSAM tells the mask decoder of the target.

    Attributes:
        similarity: (1, 1, 1, s * s): added to the attention of the tokens to the positions of the image.
        target: (1, 1, C): added to the tokens.
    """

    similarity: Tensor
    target: Tensor


class Sam(nn.Module):
    """SAM with transformers' modules and names.

    Attributes:
        side: Side of its square input in pixels.
        channels: Number of channels C of an embedding.
        positions: Side s of an embedding.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        chosen = network(name)
        if chosen.family != "sam":
            raise UsageError(f"{name} is not a SAM")
        made = cast("Any", built(chosen))
        self.shared_image_embedding: nn.Module = made.shared_image_embedding
        self.vision_encoder: nn.Module = made.vision_encoder
        self.prompt_encoder: nn.Module = made.prompt_encoder
        self.mask_decoder: nn.Module = made.mask_decoder
        self.side: int = made.config.vision_config.image_size
        self.channels: int = made.config.vision_config.output_channels
        self.positions: int = self.side // made.config.vision_config.patch_size
        self._mean, self._std = chosen.mean, chosen.std
        _guide_after_softmax(transformers_library(), made.config.mask_decoder_config)

    def frame(self, size: tuple[int, int]) -> Frame:
        """Return where a picture of (height, width) lies in the square."""
        return Frame(size, self.side)

    def fitted(self, pictures: Tensor) -> Tensor:
        """Return pictures uint8 (B, 3, H, W) resized by Pillow so that the longer side fills the square."""
        from PIL import Image

        height, width = self.frame((pictures.shape[-2], pictures.shape[-1])).inside
        resized = [
            np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))
            for picture in pictures.permute(0, 2, 3, 1).cpu().numpy()
        ]
        return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).contiguous().to(pictures.device)

    def forward(self, fitted: Tensor) -> Tensor:
        """Return the embeddings (B, C, s, s) of pictures.

        Args:
            fitted: uint8 (B, 3, h, w), from `fitted`.
        """
        embedding: Tensor = self.vision_encoder(self.normalised(fitted)).last_hidden_state
        return embedding.to(self._weight.dtype)  # under autocast, too

    def normalised(self, fitted: Tensor) -> Tensor:
        """Return pictures (B, 3, h, w) in 0..255 normalised, and the square around them filled with zeros."""
        dtype = self._weight.dtype
        mean, std = (fitted.new_tensor(values, dtype=dtype).view(3, 1, 1) * 255 for values in (self._mean, self._std))
        pixels = (fitted.to(dtype) - mean) / std
        return F.pad(pixels, (0, self.side - fitted.shape[-1], 0, self.side - fitted.shape[-2]))

    def decode(
        self, embedding: Tensor, prompts: Prompts, *, several: bool, guidance: Guidance | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return masks for prompts.

        Args:
            embedding: Of one picture, (1, C, s, s).
            prompts: P prompts.
            several: Whether three masks are made of a prompt (whole, part, subpart), or one.
            guidance: What PerSAM tells the decoder of the target; None for nothing.

        Returns:
            Logits (P, M, 4s, 4s) at low resolution, and their predicted IoU (P, M); M is 3 or 1.
        """
        sparse, dense = self.prompt_encoder(
            None if prompts.points is None else prompts.points[None],
            None if prompts.labels is None else prompts.labels[None],
            None if prompts.boxes is None else prompts.boxes[None],
            prompts.masks,
        )
        with self._target_in_the_last_attention(guidance):
            logits, quality = self.mask_decoder(
                image_embeddings=embedding,
                image_positional_embeddings=self._code_of_positions(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=several,
                attention_similarity=None if guidance is None else guidance.similarity,
                target_embedding=None if guidance is None else guidance.target,
            )
        return logits[0], quality[0]

    def outlined(self, picture: Tensor, points: Tensor | None, boxes: Tensor | None) -> Tensor:
        """Return the object that a person points at, bool (H, W), as the authors' predictor finds it.

        Of one point three masks are made, and the one with the largest predicted IoU counts; of several points or of a
        box one mask is made. The masks of several boxes are united.

        Args:
            picture: uint8 (3, H, W).
            points: (n, 2), (x, y) of points on the object in pixels of the picture; None for none.
            boxes: (P, 4), left, top, right, bottom; used if there are no points.
        """
        frame = self.frame((picture.shape[-2], picture.shape[-1]))
        embedding = self(self.fitted(picture[None]))
        if points is not None:
            several = len(points) == 1
            labels = torch.ones(1, len(points), dtype=torch.int64, device=embedding.device)
            prompts = Prompts(frame.points(points)[None].to(embedding), labels)
        elif boxes is not None:
            several = False
            prompts = Prompts(None, None, frame.points(boxes.view(-1, 2, 2)).flatten(1).to(embedding))
        else:
            raise UsageError("SAM needs points or boxes")
        low, quality = self.decode(embedding, prompts, several=several)
        best = low[torch.arange(len(low)), quality.argmax(dim=1)][:, None]
        found: Tensor = (self.enlarged(best, frame)[:, 0] > 0).any(dim=0)
        return found

    def enlarged(self, low: Tensor, frame: Frame) -> Tensor:
        """Return maps (P, M, h, w) over the square at the size of the picture, (P, M, H, W)."""
        height, width = frame.inside
        square = F.interpolate(low, (self.side, self.side), mode="bilinear", align_corners=False)
        return F.interpolate(square[..., :height, :width], frame.picture, mode="bilinear", align_corners=False)

    def names_here(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights under their names here, of weights under the authors' names or those of transformers."""
        return transformers_names(state)

    def _code_of_positions(self) -> Tensor:
        centres = (
            torch.arange(self.positions, device=self._weight.device, dtype=self._weight.dtype) + 0.5
        ) / self.positions
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        return cast("Tensor", self.shared_image_embedding(torch.stack([x, y], dim=-1))).permute(2, 0, 1)[None]

    @property
    def _weight(self) -> Tensor:
        return next(self.parameters())

    @contextmanager
    def _target_in_the_last_attention(self, guidance: Guidance | None) -> Iterator[None]:
        """Add the target to the tokens of the last attention, too, as PerSAM's release does; transformers does not."""
        if guidance is None:
            yield
            return

        def with_target(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            return arguments, {**named, "query": named["query"] + guidance.target}

        last = cast("Any", self.mask_decoder).transformer.final_attn_token_to_image
        with last.register_forward_pre_hook(with_target, with_kwargs=True):
            yield


def sam(name: str) -> Sam:
    """Build a SAM with random weights; nothing is downloaded.

    Args:
        name: e.g. "sam-vith" (`transformers_networks.toml`).

    Raises:
        UsageError: If there is no such network, or it is of another family.
        MissingError: If transformers is not installed.
    """
    return Sam(name)


def _guide_after_softmax(library: ModuleType, config: Any) -> None:  # noqa: ANN401 - a class of transformers
    """Have the attention of a mask decoder add PerSAM's similarity after the softmax; transformers adds it before."""
    library.AttentionInterface.register(_AFTER_SOFTMAX, _attention)
    config._attn_implementation = _AFTER_SOFTMAX


def _attention(
    _: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **__: object,
) -> tuple[Tensor, Tensor]:
    """Return attention, (B, n, heads, c) and its weights; with a similarity a second softmax follows."""
    weights = torch.softmax(query @ key.transpose(2, 3) * scaling, dim=-1)
    if attention_mask is not None:
        weights = torch.softmax(weights + attention_mask, dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights
