"""The episodic trainer: a method's head on a frozen backbone, from pairs of pictures of one base class.

As HSNet and ASNet were trained: 1-way 1-shot whatever is evaluated later, Adam, the frozen backbone in eval mode.
The releases keep the weights that do best on the validation episodes, which are the novel classes themselves; here
the weights after the last step are the result, and nothing of the novel classes is looked at.
"""

from __future__ import annotations

from torch import Tensor

from fssbench.layers.pairwise import PairwiseMethod
from fssbench.training.loop import Place, Watcher, fit
from fssbench.training.losses import segmentation_loss
from fssbench.training.pictures import PairBatches, binary_mask
from fssbench.training.plan import Plan


def train_head(
    method: PairwiseMethod[object], plan: Plan, watch: Watcher | None = None, *, backbone_sha256: str = ""
) -> None:
    """Train the head of `method`, whose backbone holds its weights already; leaves the method in eval mode.

    Args:
        method: The method, with an initial head.
        plan: What is trained, on what, where.
        watch: Is told of every step.
        backbone_sha256: Hash of the backbone's weights: a state on disk belongs to one backbone.
    """
    batches = PairBatches(plan.dataset, plan.fold, plan.recipe, plan.seed)
    method.to(plan.device).train()

    def loss_at(step: int) -> Tensor:
        batch = batches.at(step)
        mask = binary_mask(batch.labels, batch.class_ids, leave_out_rim=plan.recipe.rim == "leave-out")
        images = batch.images.to(plan.device)
        return pair_loss(method, images, mask.to(plan.device), plan.recipe.foreground_weight)

    place = Place(plan.folder, {**plan.identity, "backbone": backbone_sha256})
    fit(method, loss_at, plan.recipe, place, resume=plan.resume, watch=watch)
    method.cpu().eval()


def pair_loss(method: PairwiseMethod[object], images: Tensor, mask: Tensor, foreground_weight: float) -> Tensor:
    """Return the segmentation loss of B pairs.

    Args:
        method: The method.
        images: Queries, then supports: float32 (2B, 3, H, W), normalised.
        mask: uint8 (2B, H, W): 0, 1, and 255 where the rim is left out.
        foreground_weight: As in the recipe.
    """
    pairs = len(images) // 2
    maps = method.encode(images)  # both in one pass: the backbone is frozen, and its batch norm with it
    query = tuple(feature[:pairs] for feature in maps)
    support = method.condition(tuple(feature[pairs:] for feature in maps), mask[pairs:])
    return segmentation_loss(method.score(query, support), mask[:pairs], foreground_weight)
