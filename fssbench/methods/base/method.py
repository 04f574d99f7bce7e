"""What a method is: encode an image, condition on a support, predict an episode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Prediction:
    """The answer to one episode.

    Attributes:
        logits: float32 (N+1, H, W); channel 0 is background, channel n the n-th class. What kind of score it is
            (raw, log-probability) the method says.
        labels: uint8 (H, W), values 0..N.
        present: bool (N,): whether the n-th class is said to be in the query.
        base: uint8 (H, W): 0, or 1 + the place of a base class of the fold; None for a method that knows none.
    """

    logits: Tensor
    labels: Tensor
    present: Tensor
    base: Tensor | None = None

    def cropped(self, height: int, width: int) -> Prediction:
        """Return the top left corner of the answer; a class without a label in it is no longer said to be there."""
        labels = self.labels[:height, :width]
        seen = torch.stack([(labels == n).any() for n in range(1, len(self.present) + 1)])
        base = None if self.base is None else self.base[:height, :width]
        return Prediction(self.logits[:, :height, :width], labels, self.present & seen, base)


@dataclass(frozen=True)
class TrainingBatch:
    """B training episodes of N ways and K shots; K is 0 in a stage that learns from single images.

    Attributes:
        query: float32 (B, 3, H, W), normalised.
        query_masks: uint8 (B, N, H, W): 1 where the n-th class is, 0 elsewhere, 255 where the loss is not counted.
        supports: float32 (B, N, K, 3, H, W), normalised.
        support_masks: uint8 (B, N, K, H, W) in {0, 1, 255}.
        classes: int64 (B, N): each class as its place among the base classes of the fold, from 0.
        query_labels: uint8 (B, H, W): 0, or 1 + the place of the base class, or 255.
        foreground_weight: How much a foreground pixel counts in a segmentation loss; a background pixel counts 1.
    """

    query: Tensor
    query_masks: Tensor
    supports: Tensor
    support_masks: Tensor
    classes: Tensor
    query_labels: Tensor
    foreground_weight: float = 1.0


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
        predicts_in_threads: Whether, on a CPU, several threads may call `predict` at once in place of `predict_many`. A
            class that overrides either of them and does not set this flag is assumed not to allow it.
    """

    training_stages: ClassVar[tuple[str, ...]] = ("",)
    query_of_features_alone: ClassVar[bool] = True
    info: ClassVar[MethodInfo | None] = None
    predicts_in_threads: ClassVar[bool] = False

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
        """Return what the method keeps of support images.

        Args:
            features: What `encode` gave for them.
            mask: uint8 (B, H, W) in {0, 1, 255}; 255 = ignore, used as the release uses it.
        """

    @abstractmethod
    def predict(self, query: Features, supports: Sequence[Sequence[Support]], size: tuple[int, int]) -> Prediction:
        """Return the answer to one episode.

        Args:
            query: Features of the query, batch 1.
            supports: `supports[n][k]` is the conditioned k-th support of the n-th class, batch 1.
            size: (height, width) of the labels and logits returned.
        """

    @property
    def shared_encoder(self) -> nn.Module | None:
        """The module that `encode` is all the work of, if its parameters alone decide it; None says nothing of it.

        Of methods with the same `encode` and equal encoders an engine encodes each image once for all. Where the
        checkpoints of several folds have equal encoders, deep copies of the method that hold one encoder answer them.
        """
        return None

    def prepare_query(self, features: Features) -> Features:
        """Return what `predict` reads of an image as a query, made ready once for all episodes that ask it.

        What depends on the image alone is computed here, and what `predict` does not read is left out, so that little
        has to be kept. `predict` takes either, and says the same of both.

        Args:
            features: What `encode` gave; they stay as they are.
        """
        return features

    as_query = prepare_query

    def leave_out(self, query: Features, ignored: Tensor) -> Features:
        """Return a query some of whose pixels take no part in what a method learns of the query while it predicts.

        Called after `prepare_query`, with the padding of the image and, where a protocol gives them, the pixels that
        the query's label map has as 255. All else of that map is given to no step. Most methods learn nothing then.

        Args:
            query: Features of queries; they stay as they are.
            ignored: bool (B, H, W), of the size of the images.
        """
        del ignored
        return query

    def predict_many(
        self,
        queries: Sequence[Features],
        supports: Sequence[Sequence[Sequence[Support]]],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Prediction]:
        """Return the answers to several episodes of equal ways, shots and input size, each as `predict` gives it.

        Here one after the other; fast forms join the work of several where that is faster.

        Args:
            queries: Of each episode the features of its query, batch 1.
            supports: Of each episode its supports, as `predict` takes them.
            sizes: Of each episode the (height, width) of its answer.
        """
        return [self.predict(*one) for one in zip(queries, supports, sizes, strict=True)]

    @property
    def learnable_parameters(self) -> int:
        """How many parameters training moves (the frozen backbone is left out)."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def from_imagenet(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights of a backbone's own file under their names in the method."""
        return {f"backbone.{key}": value for key, value in state.items()}

    def enter_training_stage(self, stage: str) -> None:
        """Make ready for a stage of `training_stages`: say with `requires_grad` which parameters it moves."""

    def losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        """Return the losses of a batch by name, scalars whose sum is minimised, the paper's weights applied.

        Called in training mode. Whatever it draws comes from torch's global generator, which the trainer seeds at
        every step, so that a run that was killed goes on as it would have. Gradients flow where the paper says.

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
    ) -> Prediction:
        """Answer one episode from its images, by the form it is called on.

        `fssbench.build` gives the plain form; `fssbench.fast.form.fast_form(method)` predicts the same in less time.

        Args:
            query: float32 (3, H, W), normalised.
            support_images: float32 (N, K, 3, H, W), normalised.
            support_masks: (N, K, H, W) in {0, 1, 255}.
            size: (height, width) at which to return the labels; default the query's own.
            query_ignored: bool (H, W): pixels of the query that `leave_out` is given; None for none.

        Raises:
            UsageError: If the shapes do not fit each other.
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
        supports = [
            [self.condition(self.encode(image[None]), mask[None]) for image, mask in zip(images, masks, strict=True)]
            for images, masks in zip(support_images, support_masks, strict=True)
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
