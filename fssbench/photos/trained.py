"""`fssbench.load`: a method with the weights of a fold, for photos as they are and for evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fssbench.datasets.catalogue import REGISTRY, dataset_info
from fssbench.datasets.transfer.view import same_scenes
from fssbench.errors import UsageError
from fssbench.escape import printable
from fssbench.methods.catalogue import method_info
from fssbench.photos.choice import Choice
from fssbench.photos.inputs import MaskLike, PhotoLike
from fssbench.photos.segment import Prepared, prepared, segmented
from fssbench.photos.segmentation import Segmentation

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList
    from fssbench.methods.base.method import Method
    from fssbench.photos.choice import Chosen
    from fssbench.results.weights_record import Weights


class TrainedMethod:
    """A method with the weights of a fold, as `load` returns it.

    Attributes:
        dataset: The data set that it was trained on.
        fold: The fold whose classes its training has not seen.
        chosen: Method, variant, backbone, protocol and weights.
    """

    def __init__(self, choice: Choice, dataset: str, fold: int) -> None:
        self.dataset, self.fold = dataset, fold
        first = prepared(choice, 1, 1)
        self.chosen: Chosen = first.chosen
        # Other ways and shots are of the same variant and backbone, or refused.
        setting = first.chosen.setting
        self._choice = Choice(
            method=setting.info.name,
            variant=setting.variant or None,
            backbone=setting.backbone,
            train_dataset=dataset,
            fold=fold,
            checkpoint=choice.checkpoint,
            backbone_weights=choice.backbone_weights,
            device=choice.device,
        )
        self._prepared: dict[tuple[int, int], Prepared] = {(1, 1): first}

    def _for(self, way: int, shot: int) -> Prepared:
        if (way, shot) not in self._prepared:
            self._prepared[way, shot] = prepared(self._choice, way, shot)
        return self._prepared[way, shot]

    @property
    def method(self) -> Method[Any, Any]:
        """The method for 1-way 1-shot episodes, as `fssbench.build` returns it, with its weights and on its device."""
        return self._for(1, 1).method

    @property
    def weights(self) -> Weights:
        """Where its weights come from, as the record of a run has it."""
        return self.chosen.source.record

    def segment(
        self,
        query: PhotoLike | Sequence[PhotoLike],
        supports: PhotoLike | Sequence[PhotoLike],
        masks: MaskLike | Sequence[MaskLike],
        classes: str | Sequence[str] | None = None,
    ) -> Segmentation | list[Segmentation]:
        """Find what supports show in photos of any size; arguments, result and errors are those of `fssbench.segment`.

        Args:
            query: A photo, or a list of them: a path, a PIL image, or an array, uint8 (H, W, 3), (H, W, 4) or (H, W).
            supports: One photo or several, each with an object.
            masks: The object in each: bool or integer (H, W), a PIL image, a path, or a box as text.
            classes: The class of each support; default one class for all.

        Returns:
            A `Segmentation` of a photo, with `labels` and `masks` of the photo's own size; a list of them for a list.
        """
        return segmented(query, supports, masks, classes, self._for)

    def for_episodes(self, episodes: EpisodeList, dataset: Dataset) -> Method[Any, Any]:
        """Return the method for the ways and shots of a list.

        Raises:
            UsageError: If training has seen the classes of the list, because it is of another fold or another data set.
        """
        info = self.chosen.setting.info
        if info.trainable:
            if dataset.trained_on != self.dataset and not same_scenes(dataset.name, self.dataset):
                raise UsageError(
                    f"{info.name} was trained on {self.dataset}; which classes of {dataset.name} that has seen is not "
                    "known of a data set that was opened without it",
                    f'open_dataset("{dataset.name}", train_dataset="{self.dataset}")',
                )
            if episodes.fold != self.fold:
                raise UsageError(
                    f"{info.name} was trained for fold {self.fold}: it has seen the classes of fold {episodes.fold}",
                    f'load("{info.name}", "{self.dataset}", {episodes.fold})',
                )
        return self._for(episodes.way, episodes.shot).method

    def __repr__(self) -> str:
        weights = f", weights {self.chosen.weights}" if self.chosen.weights else ""
        where = f", trained on {self.dataset}, fold {self.fold}" if self.chosen.setting.info.trainable else ""
        return printable(f"<{self.chosen.name}{where}{weights}>")


def load(
    method: str,
    dataset: str,
    fold: int = 0,
    *,
    variant: str | None = None,
    backbone: str | None = None,
    checkpoint: str | Path | None = None,
    backbone_weights: str | Path | None = None,
    device: str = "auto",
) -> TrainedMethod:
    """Return a method with its weights: the registered ones, found as `fssbench eval` finds them, or a file.

    Args:
        method: One of `list_methods()`, or one's own.
        dataset: The data set that the weights were trained on, one of `list_datasets()`.
        fold: The fold whose classes they have not seen.
        variant: A variant of the method, e.g. "fscs"; default its first.
        backbone: Its backbone; default that of the method's protocol, or its first.
        checkpoint: The file of the weights; default the registered ones.
        backbone_weights: The file of the frozen backbone, if the checkpoint is without it.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Returns:
        A `TrainedMethod`: its `segment` takes photos as they are, `fssbench.evaluate` takes it, and `method` is the
        module.

    Raises:
        UsageError: If a name or fold does not exist, or the weights were trained on another data set or fold.
        MissingError: If the weights are not on this machine; its remedy is the command that fetches them.
        BrokenFileError: If a weight file is damaged.
        CheckpointError: If weights do not fit.

    Examples:
        >>> import fssbench
        >>> method = fssbench.load("hsnet", "shapes20i", 0)
        >>> method
        <hsnet with small, trained on shapes20i, fold 0, weights hsnet-small-shapes20i-fold0>
        >>> shapes = fssbench.open_dataset("shapes20i")
        >>> support, mask = shapes.image("val_0261"), shapes.label("val_0261") == 1
        >>> found = method.segment(shapes.image("val_0001"), support, mask)
        >>> found.labels.shape, found.masks.shape, found.classes
        ((181, 220), (1, 181, 220), ('object',))
    """
    dataset = REGISTRY.require(dataset)
    count = dataset_info(dataset).folds
    if method_info(method).trainable and (fold < 0 or (count and fold >= count)):
        known = f"its folds are 0 to {count - 1}" if count > 1 else "it has only fold 0"
        raise UsageError(f"{dataset} has no fold {fold}: {known}")
    choice = Choice(
        method=method,
        variant=variant,
        backbone=backbone,
        train_dataset=dataset,
        fold=fold,
        checkpoint=None if checkpoint is None else str(checkpoint),
        backbone_weights=None if backbone_weights is None else str(backbone_weights),
        device=device,
    )
    return TrainedMethod(choice, dataset, fold)
