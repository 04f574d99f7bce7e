"""SegGPT: Wang et al., "SegGPT: Segmenting Everything In Context", ICCV 2023.

Facts from baaivision/Painter at cfec845, SegGPT/SegGPT_inference: seggpt_engine.py and models_seggpt.py. The network
is transformers'; its encoder is run block by block, because the averages over prompts of transformers 5.24 are not
those of the release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.backbones.networks import built, network, renamed, resized
from fssbench.layers.masks import foreground
from fssbench.methods.base.method import Method, Prediction

ColourRule = Literal["mean", "nearest"]
_WHITE_ABOVE: Mapping[str, float] = {"mean": 128.0, "nearest": 127.5}
"""Of each rule the mean of a pixel's red, green and blue (0..255) above which it is foreground.

A colour is nearer to white than to black by squared distance where its mean is above half of 255.
"""

_RENAMED = (
    (r"^(blocks\.\d+\.)attn\.", r"\1attention."),
    (r"^(blocks\.\d+\.)norm1\.", r"\1layernorm_before."),
    (r"^(blocks\.\d+\.)norm2\.", r"\1layernorm_after."),
    (r"^(blocks\.\d+\.mlp\.)fc([12])\.", r"\1lin\2."),
    (r"^blocks\.", "model.encoder.layers."),
    (r"^norm\.", "model.encoder.layernorm."),
    (r"^patch_embed\.proj\.", "model.embeddings.patch_embeddings.projection."),
    (r"^pos_embed$", "model.embeddings.position_embeddings"),
    (r"^mask_token$", "model.embeddings.mask_token"),
    (r"^segment_token_x$", "model.embeddings.segment_token_input"),
    (r"^segment_token_y$", "model.embeddings.segment_token_prompt"),
    (r"^type_token_cls$", "model.embeddings.type_token_semantic"),
    (r"^type_token_ins$", "model.embeddings.type_token_instance"),
    (r"^decoder_embed\.", "decoder.decoder_embed."),
    (r"^decoder_pred\.0\.", "decoder.decoder_pred.conv."),
    (r"^decoder_pred\.1\.", "decoder.decoder_pred.layernorm."),
    (r"^decoder_pred\.3\.", "decoder.decoder_pred.head."),
)
"""The authors' names, as regular expressions, and transformers'; in this order."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """B support images at the size of the network.

    Attributes:
        picture: (B, 3, S, S).
        colours: The mask as a picture, white on black, normalised as pictures are; (B, 3, S, S).
    """

    picture: Tensor
    colours: Tensor


class SegGPT(Method[Tensor, Prompt]):
    """A generalist painter: it sees a picture, its mask as colours, and the query, and paints the query's mask.

    The release segments single pictures and videos; it has no few-shot evaluation, and for pictures no rule that turns
    a colour into a label. "mean" is that of its videos, "nearest" that of transformers. Pixels of a support that are
    labelled 255 are black, as background is. An empty mask is a black prompt, and the query is what the network paints.

    Args:
        backbone: "seggpt-vitl".
        way: 1.
        shot: K.
        seg_type: The kind of prompt. Few-shot segmentation is "semantic"; the release's default is "instance".
        rule: Where a colour is foreground: the mean of red, green and blue is above 128 ("mean"), or it is nearer to
            white than to black ("nearest").
    """

    order_of_shots_matters = True  # quirk: of K paintings the first prompt's is taken

    def __init__(
        self,
        backbone: str,
        way: int,
        shot: int,
        seg_type: Literal["semantic", "instance"] = "semantic",
        rule: ColourRule = "mean",
    ) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss", way, shot
        self.seg_type, self.rule = seg_type, rule
        chosen = network(backbone)
        self.mean, self.std = chosen.mean, chosen.std
        self.side: int = chosen.config["image_size"][1]
        self.backbone = built(chosen).requires_grad_(requires_grad=False)

    def from_release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights under their names here: the authors' are renamed, those of transformers are kept."""
        own = {key.removeprefix("backbone."): value for key, value in state.items()}
        return {f"backbone.{renamed(key, _RENAMED)}": value for key, value in own.items()}

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of the network's file, of the authors or of the hub, under their names here."""
        return self.from_release(state)

    def encode(self, image: Tensor) -> Tensor:
        """Return images at the size of the network, (B, 3, S, S), resized bilinearly if they have another."""
        return resized(image, self.side, self.side)

    def condition(self, features: Tensor, mask: Tensor) -> Prompt:
        """Return prompts; masks take the nearest pixel."""
        white = F.interpolate(foreground(mask)[:, None], features.shape[-2:], mode="nearest").to(features.dtype)
        mean, std = (features.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return Prompt(features, (white - mean) / std)

    def embedded(self, query: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """Return what enters the first block: K pictures, then K paintings, (2 K, 2 h, w, C).

        A prompt is above the query, and in the painting the query's half is masked.
        """
        pictures = torch.cat([torch.cat([one.picture, query], dim=2) for one in prompts])
        # The masked half can hold anything; as in the release it is the prompt's mask once more.
        paintings = torch.cat([torch.cat([one.colours, one.colours], dim=2) for one in prompts])
        embeddings = cast("Any", self.backbone).model.embeddings
        patches = embeddings.patch_embeddings.num_patches
        masked = torch.arange(patches, device=query.device)[None] >= patches // 2
        return cast("Tensor", embeddings(pictures, paintings, bool_masked_pos=masked, embedding_type=self.seg_type))

    def latent(self, embedded: Tensor) -> list[Tensor]:
        """Return the normed features of four blocks, each (K, 2 h, w, C).

        With several prompts (feature ensemble) the query's half of each block's attention is averaged over them: until
        pictures and paintings are merged, for each of the two.
        """
        encoder = cast("Any", self.backbone).model.encoder
        merged, kept = encoder.config.merge_index, encoder.config.intermediate_hidden_state_indices
        several = len(embedded) > 2
        x, found = embedded, []
        for number, block in enumerate(encoder.layers):
            # The block that is merged after belongs to the first kind, too; in transformers it does not.
            x = block(x, 2 if number <= merged else 1, several)[0]
            if number == merged:
                x = (x[: len(x) // 2] + x[len(x) // 2 :]) * 0.5
            if number in kept:
                found.append(encoder.layernorm(x))
        return found

    def painted(self, query: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """Return the raw paintings of K prompts and the query, in normalised colours: (K, 3, 2 S, S)."""
        latent = self.latent(self.embedded(query, prompts))
        return cast("Tensor", cast("Any", self.backbone).decoder(torch.cat(latent, dim=-1)))

    def colours(self, painted: Tensor) -> Tensor:
        """Return the query's half of the first painting as colours 0..255, float64 (3, S, S)."""
        half = painted[0, :, painted.shape[2] // 2 :].double()
        mean, std = (half.new_tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return ((half * std + mean) * 255).clip(0, 255)

    def predict(self, query: Tensor, supports: Sequence[Sequence[Prompt]], size: tuple[int, int]) -> Prediction:
        """Return where the query is painted white; at another size the nearest pixel is taken.

        The logits are the brightness of the painting, 0..1, and the brightness above which a pixel is foreground.
        """
        colours = self.colours(self.painted(query, supports[0]))
        brightness = F.interpolate(colours.mean(dim=0)[None, None], size, mode="nearest")[0, 0]
        above = _WHITE_ABOVE[self.rule]
        labels = (brightness > above).to(torch.uint8)
        logits = torch.stack([torch.full_like(brightness, above), brightness]) / 255
        return Prediction(logits.float(), labels, (labels > 0).any()[None])
