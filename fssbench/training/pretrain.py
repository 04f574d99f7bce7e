"""Trains the backbone `small` from scratch on the base classes of a fold.

The loss has two parts. Every pixel is classified as background or one of the base classes, which separates the classes.
And features of the same class in different images are pulled together and pushed away from all others, which is how the
features are used later for novel classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import Backbone, backbone
from fssbench.label_values import IGNORE
from fssbench.layers.losses import pixel_contrast_loss, pixel_loss
from fssbench.training.batches import Batch, EpisodeBatches
from fssbench.training.loop import Hooks, OnContinued, StepCallback, fit
from fssbench.training.plan import Plan
from fssbench.training.recipes import stage_recipe
from fssbench.training.state import StageFiles

_THINNED = slice(1, None, 4)
"""Targets are used in every fourth row and column, since the maps are even coarser."""
_CONTRAST = (0.0, 0.1, 0.25, 0.25, 0.25, 0.25)
"""Weight of the contrast on each map. The first maps are too local to tell classes apart."""
_ANCHORS = 384


class PixelClassifier(nn.Module):
    """A backbone with a linear classifier on the last map of its middle and its deep level.

    Args:
        net: The backbone.
        classes: The base classes in rising order.
    """

    def __init__(self, net: Backbone, classes: Sequence[int]) -> None:
        super().__init__()
        self.backbone = net
        shallow, middle, deep = net.levels
        self.last = (shallow + middle - 1, shallow + middle + deep - 1)
        self.classifiers = nn.ModuleList(nn.Conv2d(net.channels[i], len(classes) + 1, 1) for i in self.last)
        target = torch.full((256,), IGNORE)
        target[torch.tensor([0, *classes])] = torch.arange(len(classes) + 1)
        self.register_buffer("target_of_label", target, persistent=False)
        self.target_of_label: Tensor

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of a batch: pixel classification plus pixel contrast."""
        device = self.target_of_label.device
        maps = self.backbone(batch.images.to(device))
        labels = batch.labels.to(device)
        target = self.target_of_label[labels[:, _THINNED, _THINNED].long()]
        loss = torch.zeros((), device=device)
        for position, classifier in zip(self.last, self.classifiers, strict=True):
            loss = loss + pixel_loss(classifier(F.relu(maps[position])), target)
        for features, weight in zip(maps, _CONTRAST, strict=True):
            if weight:
                coarse = F.interpolate(labels[:, None], features.shape[-2:], mode="nearest-exact")[:, 0]
                loss = loss + weight * pixel_contrast_loss(features, coarse, _ANCHORS, batch.rng)
        return loss


def pretrain(plan: Plan, callback: StepCallback | None = None, continued: OnContinued | None = None) -> Backbone:
    """Train the backbone `small` as planned and return it in eval mode.

    Args:
        plan: The plan of the training.
        callback: Called after every step.
        continued: Called if it was given more steps than it was begun with.
    """
    recipe = stage_recipe(plan.recipes, "", f"{plan.network}/{plan.dataset.name}")
    batches = EpisodeBatches(plan.dataset, plan.fold, recipe, plan.seed)
    classes = plan.dataset.fold_classes(plan.fold, "train")
    net = PixelClassifier(backbone(plan.backbone), classes).to(plan.device).train()
    place = StageFiles(plan.folder, plan.identity(recipe))
    hooks = Hooks(seed=plan.seed, callback=callback, continued=continued)
    fit(net, lambda step: {"pixels": net.loss(batches.at(step))}, recipe, place, resume=plan.resume, hooks=hooks)
    return net.backbone.cpu().eval()
