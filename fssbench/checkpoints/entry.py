"""One entry of a registry of checkpoints, checked field by field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fssbench.files import shipped
from fssbench.hub.snapshots import WEIGHTS

_ID = r"^[a-z0-9][a-z0-9._-]*$"
_PACKAGED = r"^([A-Za-z_][A-Za-z0-9_]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+)?$"
_HUB_FILE = r"[\w-][\w.-]*\.safetensors"
Option = bool | int | float | str | tuple[int | float, ...]


class Record(BaseModel):
    """One checkpoint: what it is, where it is, and its expected results.

    Attributes:
        id: Name, e.g. "hsnet-resnet50-pascal5i-fold0".
        kind: "method", or "backbone" for weights that a release keeps outside its checkpoints.
        method: Name of the method; empty for a backbone.
        variant: Variant of the method; empty for its first.
        backbone: Name of the backbone.
        dataset: The training data set; empty for ImageNet weights.
        fold: The fold whose classes it has not seen; None for ImageNet weights.
        shots: The numbers of supports with which its release evaluates it; empty for any.
        way: N of its training.
        weak: Whether it was trained with image-level labels.
        options: Further arguments of `fssbench.build`.
        url: Where it can be downloaded.
        hosting: "file" if `url` is the file itself, "page" if it is a page for a browser.
        path: The file, relative to the registry; instead of `url`.
        hub: The model's name on the Hugging Face hub; instead of `url`.
        revision: Its branch, tag or commit there; empty for the main branch.
        filename: Its file there; of a `url` the name that its release gives the file, with * for what it leaves open,
            and with folders if their names tell the file apart.
        filename_source: Where this name is stated.
        gated: Whether the hub asks for an account and the acceptance of the licence.
        package: The file in an installed Python package, "PACKAGE/FILE"; instead of `url`.
        extra: The extra of fssbench that installs this package.
        backbone_path: The file of the frozen backbone, if it has its own file.
        sha256: Hash of the file, or its beginning if the host gives no more; empty if unknown.
        backbone_sha256: Hash of `backbone_path`.
        licence: Its licence.
        source: Who released it, and where.
        expected: Printed results in per cent by name, e.g. {"miou_1shot" = 64.3}.
        expected_source: Where they are printed.
        note: Anything else.
        registry: The registry that it is from.
        first_seen: Whether `sha256` is that of the first file that was fetched here, for which nobody else vouches.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=_ID)
    kind: Literal["method", "backbone"] = "method"
    method: str = ""
    variant: str = ""
    backbone: str
    dataset: str = ""
    fold: int | None = Field(default=None, ge=0)
    shots: tuple[Annotated[int, Field(ge=1)], ...] = ()
    way: int = Field(default=1, ge=1)
    weak: bool = False
    options: dict[str, Option] = Field(default_factory=dict)
    url: str = ""
    hosting: Literal["file", "page"] = "file"
    path: str = ""
    hub: str = Field(default="", pattern=r"^([\w.-]+/[\w.-]+)?$")
    revision: str = Field(default="", pattern=r"^[\w./-]*$")
    filename: str = Field(default=WEIGHTS, pattern=r"^[\w*-][\w.*=-]*(/[\w*-][\w.*=-]*)*$")
    filename_source: str = ""
    gated: bool = False
    package: str = Field(default="", pattern=_PACKAGED)
    extra: str = Field(default="", pattern=r"^[a-z]*$")
    backbone_path: str = ""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{8,64})?$")
    backbone_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    licence: str = ""
    source: str = ""
    expected: dict[str, float] = Field(default_factory=dict)
    expected_source: str = ""
    note: str = ""
    registry: Path = Field(default=Path(), exclude=True)
    first_seen: bool = Field(default=False, exclude=True)

    @model_validator(mode="after")
    def _one_place(self) -> Record:
        if not self.url and not re.fullmatch(_HUB_FILE, self.filename):
            raise ValueError(f"the filename on the hub does not fit the pattern {_HUB_FILE}")
        if sum(map(bool, (self.url, self.path, self.hub, self.package))) != 1:
            raise ValueError("a record has a url or a path or a hub or a package, one of them")
        if (self.kind == "method") != bool(self.method):
            raise ValueError("a method's checkpoint names its method, a backbone's does not")
        return self

    @property
    def file_pattern(self) -> str:
        """The name that its release gives the file behind `url`, with * for what it leaves open; empty if unknown."""
        return self.filename if self.url and self.filename != WEIGHTS else ""

    def file(self, relative: str) -> Path:
        """Return a path of the record, which is relative to its registry; a shipped record has shipped files."""
        if self.registry == shipped("checkpoints.toml"):
            return shipped(relative)
        return (self.registry.parent / relative).resolve()


class FirstHash(BaseModel):
    """The hash of a file for which none was recorded when it was fetched for the first time.

    Attributes:
        id: Of its record.
        sha256: Hash of the file that came.
        url: Where it came from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=_ID)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    url: str = ""
