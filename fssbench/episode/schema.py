"""The schema of the file of an episode list."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _inside(name: str) -> str:
    # A data set appends names to its folder, so they must not lead out of it.
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"'{name}' leads out of the data set's folder")
    return name


# No control characters: the header of a file is printed to a terminal.
Word = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ImageName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f-\x9f\\:]+$"),
    AfterValidator(_inside),
]
Pixels = Annotated[int, Field(ge=1, le=65535)]
Length = Annotated[int, Field(ge=0, le=65535)]
ClassId = Annotated[int, Field(ge=1, le=65535)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EpisodeRecord(_Strict):
    """One episode; see `fssbench.episode.Episode`. `id` is the name of its prediction; None in version 1."""

    id: Annotated[str, StringConstraints(pattern=r"^fold[0-9]{1,4}-[0-9]{5,9}$")] | None = None
    query: ImageName
    classes: Annotated[tuple[ClassId, ...], Field(min_length=1, max_length=100)]
    supports: Annotated[
        tuple[Annotated[tuple[ImageName, ...], Field(min_length=1, max_length=1000)], ...],
        Field(min_length=1, max_length=100),
    ]
    query_class: ClassId


class AnswerRecord(_Strict):
    """The rules of the protocol that predictions must follow; see `fssbench.protocols.rules.Protocol`."""

    task: Literal["fss", "fscs"]
    input: tuple[Length, Length]
    resize: Word
    score_at: Literal["input", "original"]
    ignore: Literal["leave-out", "background"]


class EpisodeFile(_Strict):
    """The whole file; see `fssbench.episode.EpisodeList` for the header's fields.

    Version 2 has `answer` (unless the protocol is not known) and an `id` for each episode; version 1 has neither.
    """

    format: Literal["fssbench-episodes"]
    version: Literal[1, 2]
    dataset: Word
    fold: Annotated[int, Field(ge=0, le=1000)]
    split: Literal["train", "val", "test"]
    way: Annotated[int, Field(ge=1, le=100)]
    shot: Annotated[int, Field(ge=1, le=1000)]
    protocol: Word
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    list_order: Word
    data_fingerprint: Word
    left_out: tuple[ClassId, ...]
    run_length: Annotated[int, Field(ge=1)] | None = None
    train_dataset: Word | None = None
    test_classes: Word | None = None
    references: Annotated[int, Field(ge=2)] | None = None
    absent: Annotated[float, Field(gt=0, lt=1)] | None = None
    base_hash: Digest | None = None
    base_count: Annotated[int, Field(ge=1)] | None = None
    count: Annotated[int, Field(ge=1)]
    hash: Digest
    answer: AnswerRecord | None = None
    header_hash: Digest
    episodes: Annotated[tuple[EpisodeRecord, ...], Field(min_length=1)]
