"""The contract of a method: encode an image, condition on a support, predict an episode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from fssbench.errors import UsageError
from fssbench.methods.base.built import BuiltAs
from fssbench.methods.catalogue import MethodInfo

Features = TypeVar("Features")
Support = TypeVar("Support")
Task = Literal["fss", "fscs"]


@dataclass(frozen=True, repr=False)
class Prediction:
    """The prediction for one episode.

    Attributes:
        logits: float32 (N+1, H, W); channel 0 is background, channel n the n-th class. The method documents the kind of
            score (raw, log-probability).
        labels: uint8 (H, W), values 0..N.
        present: bool (N,): whether the n-th class is predicted as present in the query.
        base: uint8 (H, W): 0, or 1 + the index of a base class of the fold; None for a method without base classes.
    """

    logits: Tensor
    labels: Tensor
    present: Tensor
    base: Tensor | None = None

    def cropped(self, height: int, width: int) -> Prediction:
        """Return the top left corner; a class without a pixel in it is not present."""
        labels = self.labels[:height, :width]
        seen = torch.stack([(labels == n).any() for n in range(1, len(self.present) + 1)])
        base = None if self.base is None else self.base[:height, :width]
        return Prediction(self.logits[:, :height, :width], labels, self.present & seen, base)

    def _found(self) -> list[tuple[str, str, str]]:
        """Return for each class its name, its share of the pixels, and whether it is predicted as present."""
        ways = range(1, len(self.present) + 1)
        shares = [f"{100 * float((self.labels == way).float().mean()):.1f} %" for way in ways]
        there = ["present" if bool(one) else "absent" for one in self.present]
        return [(f"class {way}", share, seen) for way, share, seen in zip(ways, shares, there, strict=True)]

    def __repr__(self) -> str:
        height, width = self.labels.shape
        return f"<{width} x {height} pixels: {', '.join(map(' '.join, self._found()))}>"

    def _repr_html_(self) -> str:
        from fssbench.notebook.html import figures, table
        from fssbench.notebook.pictures import label_picture

        height, width = self.labels.shape
        picture = label_picture(self.labels.cpu().numpy())
        return figures([(picture, f"labels, {width} x {height} pixels")]) + table(("", "share", ""), self._found())


@dataclass(frozen=True)
class TrainingBatch:
    """B training episodes of N ways and K shots; K is 0 in a stage that learns from single images.

    Attributes:
        query: float32 (B, 3, H, W), normalised.
        query_masks: uint8 (B, N, H, W): 1 for the n-th class, 0 elsewhere, 255 for pixels that the loss leaves out.
        supports: float32 (B, N, K, 3, H, W), normalised.
        support_masks: uint8 (B, N, K, H, W) in {0, 1, 255}.
        classes: int64 (B, N): the index of each class among the base classes of the fold, from 0.
        query_labels: uint8 (B, H, W): 0, or 1 + the index of the base class, or 255.
        foreground_weight: Weight of a foreground pixel in a segmentation loss; a background pixel has the weight 1.
        class_names: The names of the N classes of each episode; empty if they are not known.
    """

    query: Tensor
    query_masks: Tensor
    supports: Tensor
    support_masks: Tensor
    classes: Tensor
    query_labels: Tensor
    foreground_weight: float = 1.0
    class_names: Sequence[Sequence[str]] = ()


class Method(nn.Module, ABC, Generic[Features, Support]):
    """A few-shot segmentation method in three steps, so that an engine can reuse work.

    `encode` depends on the image alone, `condition` on one support image and its mask, `predict` on the episode.
    `Features` and `Support` are the method's own types; every tensor in them has the batch as its first axis.

    Attributes:
        task: "fss" (the query holds the class) or "fscs" (it may hold none, some or all of the N classes).
        way: N, for which the method was built.
        shot: K, for which the method was built.
        built: The arguments of `fssbench.build`; None for a method that was made otherwise.
        training_stages: Names of the stages of its training, in their order. Most methods have one stage without a
            name.
        query_of_features_alone: Whether `prepare_query` depends on the features alone. Then its result also serves
            other methods that have the same `prepare_query` and the same encoder. A class that overrides
            `prepare_query` and does not set this flag is assumed to use its own weights.
        info: The catalogue entry of a method that is not in methods.toml.
        keeps_start: Whether it holds its backbone twice, as training moved it and as it was before; a checkpoint of its
            release is then without the latter, which the backbone's file gives.
        predicts_in_threads: Whether, on a CPU, several threads may call `predict` at once in place of `predict_many`. A
            class that overrides either of them and does not set this flag is assumed not to allow it.
        reads_class_names: Whether it is given the name of each class, besides masks; see `with_names`.
        conditions_by_shot: Whether `condition` depends on `shot`. If not, what it makes of a support serves runs of 1
            and of 5 shots.
        shots_read: How many of the K supports of a class are looked at, from the first; None for all. The others are
            neither encoded nor given to `predict`.
        fixed_shapes: What `--compile-heads` compiles: its methods, and those of its networks ("network.forward"), that
            take and return trees of tensors with the same shapes in every episode of a run, but for the batch.
    """

    training_stages: ClassVar[tuple[str, ...]] = ("",)
    query_of_features_alone: ClassVar[bool] = True
    info: ClassVar[MethodInfo | None] = None
    keeps_start: ClassVar[bool] = False
    predicts_in_threads: ClassVar[bool] = False
    reads_class_names: ClassVar[bool] = False
    conditions_by_shot: ClassVar[bool] = False
    shots_read: ClassVar[int | None] = None
    fixed_shapes: ClassVar[tuple[str, ...]] = ()

    task: Task
    way: int
    shot: int
    built: BuiltAs | None = None

    def __init_subclass__(cls, **arguments: object) -> None:
        """Accept `as_query`, the earlier name of `prepare_query`: whichever a class defines, it has both."""
        super().__init_subclass__(**arguments)
        if cls.prepare_query is not cls.as_query:
            names = ("prepare_query", "as_query")
            defined = next(getattr(base, name) for base in cls.__mro__ for name in names if name in vars(base))
            cls.prepare_query = cls.as_query = defined  # type: ignore[method-assign]

    @abstractmethod
    def encode(self, image: Tensor) -> Features:
        """Return the features of images.

        Args:
            image: float32 (B, 3, H, W), RGB, normalised by the ImageNet mean and standard deviation.
        """

    @abstractmethod
    def condition(self, features: Features, mask: Tensor) -> Support:
        """Return what the method needs of support images.

        Args:
            features: From `encode`.
            mask: uint8 (B, H, W) in {0, 1, 255}; 255 = ignore, treated as in the release.
        """

    @abstractmethod
    def predict(self, query: Features, supports: Sequence[Sequence[Support]], size: tuple[int, int]) -> Prediction:
        """Return the prediction for one episode.

        Args:
            query: Features of the query, batch 1.
            supports: `supports[n][k]` is the k-th support of the n-th class from `condition`, batch 1; those of
                `shots_read`.
            size: (height, width) of the labels and logits.
        """

    @property
    def shared_encoder(self) -> nn.Module | None:
        """The module that computes all of `encode`, if its parameters and `encoded_with` decide the result; else None.

        An engine encodes each image once for all methods that have the same `encode`, equal encoders and an equal
        `encoded_with`. If the checkpoints of several folds have equal encoders, the folds are evaluated by copies of
        the method that share one encoder.
        """
        return None

    @property
    def encoded_with(self) -> Hashable:
        """What decides `encode` besides the parameters of `shared_encoder`, such as the size of its maps."""
        return None

    def prepare_query(self, features: Features) -> Features:
        """Return what `predict` needs of a query; computed once for all episodes with that query.

        What depends on the image alone is computed here. What `predict` does not need is left out, so that cached
        queries are small. `predict` accepts prepared queries and plain features, with the same result.

        Args:
            features: From `encode`; they are not changed.
        """
        return features

    as_query = prepare_query

    def with_names(self, support: Support, names: Sequence[str]) -> Support:
        """Return supports with the names of their classes; called after `condition` if `reads_class_names` is set.

        Args:
            support: From `condition`; it is not changed.
            names: The name of the class of each of its B images, as the data set or the user has it.

        Raises:
            UsageError: If a name means nothing to the method; see `check_names`.
        """
        del names
        return support

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse names of classes that the method can't read; called before any image is read.

        Raises:
            UsageError: If a name means nothing to the method, with names that are like it.
            MissingError: If a file is missing with which it reads names.
        """

    def leave_out(self, query: Features, ignored: Tensor) -> Features:
        """Return a query of which some pixels are excluded from what a method learns of it during prediction.

        Called after `prepare_query` with the padding of the image and, if the protocol provides them, the pixels that
        the query's label map has as 255. No step receives anything else of that map. Most methods learn nothing during
        prediction.

        Args:
            query: Features of queries; they are not changed.
            ignored: bool (B, H, W), at the size of the images.
        """
        del ignored
        return query

    def predict_many(
        self,
        queries: Sequence[Features],
        supports: Sequence[Sequence[Sequence[Support]]],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Prediction]:
        """Return the predictions of episodes with equal ways, shots and input size, each as `predict` returns it.

        Here the episodes are predicted one after the other; fast forms predict several at once where that is faster.

        Args:
            queries: The features of each episode's query, batch 1.
            supports: The supports of each episode, as `predict` takes them.
            sizes: The (height, width) of each prediction.
        """
        return [self.predict(*one) for one in zip(queries, supports, sizes, strict=True)]

    @property
    def learnable_parameters(self) -> int:
        """How many parameters training changes; a frozen backbone is not counted."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a backbone's file under their names in the method."""
        return {f"backbone.{key}": value for key, value in state.items()}

    def from_release(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a checkpoint of its release under their names in the method; most are equal."""
        return dict(state)

    def enter_training_stage(self, stage: str) -> None:
        """Prepare for a stage of `training_stages`: set `requires_grad` of the parameters that it trains."""

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the losses of a batch by name, as scalars with the paper's weights; their sum is minimised.

        Called in training mode. All random numbers come from torch's global generator, which the trainer seeds at every
        step, so that a resumed training continues in the same way. Gradients flow as in the paper.

        Raises:
            UsageError: If the method has nothing to train.
        """
        raise UsageError(f"{type(self).__name__} has nothing to train")

    @torch.inference_mode()
    def segment(
        self,
        query: Tensor,
        support_images: Tensor,
        support_masks: Tensor,
        size: tuple[int, int] | None = None,
        query_ignored: Tensor | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Prediction:
        """Predict one episode from its images, with the form on which this is called.

        `fssbench.build` returns the plain form; `fssbench.fast.form.fast_form(method)` predicts the same in less time.

        Args:
            query: float32 (3, H, W), normalised.
            support_images: float32 (N, K, 3, H, W), normalised.
            support_masks: (N, K, H, W) in {0, 1, 255}.
            size: (height, width) of the labels; default that of the query.
            query_ignored: bool (H, W): pixels of the query for `leave_out`; None for none.
            class_names: The names of the N classes, for a method that reads them (`reads_class_names`).

        Raises:
            UsageError: If the shapes do not fit each other, or the method reads names and has none.
        """
        if query.ndim != 3 or support_images.ndim != 5 or support_masks.ndim != 4:
            raise UsageError(
                "segment takes query (3, H, W), support_images (N, K, 3, H, W), support_masks (N, K, H, W); got "
                f"{tuple(query.shape)}, {tuple(support_images.shape)}, {tuple(support_masks.shape)}"
            )
        if support_images.shape[:2] != support_masks.shape[:2] or support_images.shape[3:] != support_masks.shape[2:]:
            raise UsageError(
                f"support_images {tuple(support_images.shape)} and support_masks {tuple(support_masks.shape)} "
                "differ in ways, shots or size"
            )
        read = slice(self.shots_read)
        supports = [
            [self.condition(self.encode(image[None]), mask[None]) for image, mask in zip(images, masks, strict=True)]
            for images, masks in zip(support_images[:, read], support_masks[:, read], strict=True)
        ]
        if class_names is not None and len(class_names) != len(supports):
            raise UsageError(f"there are {len(supports)} classes and {len(class_names)} names of classes")
        if self.reads_class_names and class_names is not None:
            supports = [
                [self.with_names(shot, [name]) for shot in shots]
                for shots, name in zip(supports, class_names, strict=True)
            ]
        if query_ignored is not None and query_ignored.shape != query.shape[1:]:
            raise UsageError(
                f"query_ignored {tuple(query_ignored.shape)} is not of the query's size {tuple(query.shape[1:])}"
            )
        height, width = query.shape[-2:]
        features = self.encode(query[None])
        if query_ignored is not None:
            features = self.leave_out(self.prepare_query(features), query_ignored[None])
        return self.predict(features, supports, size or (height, width))
