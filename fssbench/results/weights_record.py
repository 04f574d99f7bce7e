"""What the record of a run has of the weights: their hashes, where they come from, and what they were trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fssbench.ledger.facts import ChosenOn, NovelImages
from fssbench.results.method_record import STRICT


@dataclass(frozen=True)
class Trained:
    """What weights say of their training: the metadata that `fssbench train` writes, or the registry of checkpoints.

    Attributes:
        dataset: The data set.
        fold: The fold whose classes were not learnt.
        classes: The names of the classes whose labels were learnt; None if they are not known.
        novel_images: What became of training images that hold novel classes, as in `fssbench.ledger.facts`; None if it
            is not stated.
        chosen_on: The classes by whose results the weights were chosen; None if it is not stated.
        released: Whether the weights are a release's own.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    dataset: str
    fold: int | None
    classes: tuple[str, ...] | None = None
    novel_images: NovelImages | None = None
    chosen_on: ChosenOn | None = None
    released: bool = False


@dataclass(frozen=True)
class HubModel:
    """A model of the Hugging Face hub, or of a local folder in the hub's layout.

    Attributes:
        repository: Name on the hub; empty for a local folder.
        revision: The commit; empty for a local folder.
        sha256: Hex hash of its weight file; of weights in several files the hash of their names and hashes.
        precision: Type of the numbers in the file, e.g. "float32"; they are converted to float32.
        licence: According to its model card or the registry of checkpoints; empty if unknown.
        layers: The numbers of the blocks or stages whose maps are used, from 1; empty if the method decides.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    repository: str
    revision: str
    sha256: str
    precision: str
    licence: str = ""
    layers: tuple[int, ...] = ()

    def describe(self) -> str:
        """Return the model, its commit or hash, precision, licence and layers as text."""
        known = f"{self.repository} at {self.revision[:12]}" if self.repository else f"sha256 {self.sha256[:12]}"
        layers = f"layers {', '.join(map(str, self.layers))}" if self.layers else ""
        licence = f"licence {self.licence}" if self.licence else "licence unknown"
        return ", ".join(part for part in (known, self.precision, licence, layers) if part)


@dataclass(frozen=True)
class Weights:
    """The weights of the method.

    Attributes:
        kind: "checkpoint" (a file), "memory" (passed by a caller in Python), "random", "none", or "predictions": the
            predictions were read from files, and the weights are not known.
        sha256: Hex hash of the file, of the weights in memory, or of the predictions (`fssbench.predictions.digest`);
            None for "random" and "none".
        backbone_sha256: Hash of the file of the frozen backbone, if it is a separate file.
        checkpoint: Name in the registry of checkpoints, if it is registered.
        path: Path of the file, or of the folder of predictions, on that machine.
        seed: Seed of random weights.
        hub: The models of the Hugging Face hub that the weights, or those of the backbone, come from.
        trained: What they say of their training; None if nothing says it, and in runs of earlier versions.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    kind: Literal["checkpoint", "memory", "random", "none", "predictions"]
    sha256: str | None = None
    backbone_sha256: str | None = None
    checkpoint: str | None = None
    path: str | None = None
    seed: int | None = None
    hub: tuple[HubModel, ...] = ()
    trained: Trained | None = None
