"""A vision transformer that sees the images of an episode together: they share the tokens of its prompts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fssbench.backbones.vit import Shape, VisionTransformer

_PROMPT_STD = 0.02


class PromptedTransformer(VisionTransformer):
    """A vision transformer with a bank of learnt prompts, whose tokens follow those of the patches.

    Zhang et al., "Feature-Proxy Transformer for Few-Shot Segmentation", NeurIPS 2022, prompting strategy.

    Args:
        shape: Its sizes.
        blocks: How many of its blocks are kept.
        side: Side of the images whose patches have a learnt position, in pixels.
        bank: Number of prompts.
        tokens: Number of tokens of a prompt.
    """

    def __init__(self, shape: Shape, blocks: int, side: int, bank: int, tokens: int) -> None:
        super().__init__(shape, blocks, side)
        self.prompt_tokens = nn.Parameter(torch.empty(bank, tokens, shape.width))
        nn.init.normal_(self.prompt_tokens, std=_PROMPT_STD)

    def of_episodes(self, images: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps of B episodes' images, and their prompts after the last block.

        Args:
            images: m of each, (B, m, 3, H, W).
            prompts: The tokens of each, (B, p, C).

        Returns:
            Maps (B, m, C, h, w), normed; prompts (B, p, C), not normed.
        """
        every = images.flatten(0, 1)
        own = self.embedded(every)
        # Prompts have no position.
        x = torch.cat(
            [own.view(*images.shape[:2], *own.shape[1:]), _for_each(prompts[:, None], images.shape[1])], dim=2
        )
        parts = [self.prefix, own.shape[1] - self.prefix, prompts.shape[1]]
        for block in self.blocks:
            before, patches, after = torch.split(block(x.flatten(0, 1)).view_as(x), parts, dim=2)
            # Quirk: not only prompts are averaged over the images, but class and distillation token, too.
            x = torch.cat([_averaged(before), patches, _averaged(after)], dim=2)
        _, patches, after = torch.split(x, parts, dim=2)
        maps = self.as_map(self.norm(patches.flatten(0, 1)), every)
        return maps.view(*images.shape[:2], *maps.shape[1:]), after[:, 0]


def _averaged(tokens: Tensor) -> Tensor:
    """Return tokens (B, m, n, C), each averaged over the m images."""
    return _for_each(tokens.mean(dim=1, keepdim=True), tokens.shape[1])


def _for_each(tokens: Tensor, images: int) -> Tensor:
    return tokens.expand(-1, images, -1, -1)
