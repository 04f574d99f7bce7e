"""What the record of a run has of the method: its name, options, and code from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

Option = str | int | float | bool | tuple[int | float, ...] | None
STRICT: dict[str, object] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""How pydantic reads the parts of a record: nothing unknown, nothing converted."""


@dataclass(frozen=True)
class CodeRecord:
    """The code of a method that is not registered.

    Attributes:
        path: The file, as it was named on the command line; None if it is not known.
        sha256: Hex hash of the file; None if there is none.
        imports: The sha256 of each file next to it that it imports, by name.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    path: str | None
    sha256: str | None
    imports: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PackageRecord:
    """The package of somebody else that a method or a data set comes from, through an entry point.

    Attributes:
        name: Name of the distribution.
        version: Its version, according to its metadata; empty if it states none.
        commit: The commit that it was installed from, where pip noted one (PEP 610); None otherwise.
        editable: Whether its folder is on the path, so that its code may have changed since it was installed.
        file: The file of the class, below the folder of the package's top module.
        sha256: Hex hash of that file; None if it can't be read.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    name: str
    version: str
    commit: str | None = None
    editable: bool = False
    file: str | None = None
    sha256: str | None = None

    def describe(self) -> str:
        """Return the package as text, e.g. "mynet 1.2, commit 0123456789ab, editable, net.py sha256 ba9876543210"."""
        parts = [f"{self.name} {self.version}".strip(), f"commit {self.commit[:12]}" if self.commit else ""]
        parts += ["editable" if self.editable else "", f"{self.file} sha256 {self.sha256[:12]}" if self.sha256 else ""]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class MethodRecord:
    """The method as it was built.

    Attributes:
        name: Name in the registry, or the class for a method that is not registered.
        variant: The variant; None if there is only one.
        backbone: Name of the backbone; None if the method has none.
        task: "fss" or "fscs".
        options: Further arguments of `fssbench.build`.
        learnable_parameters: Number of trainable parameters; None until the method is built.
        code: The code of a method that is not registered; None for a registered one.
        package: The package that it comes from, if that is another one than fssbench; None in runs of earlier versions.
        ledger: The facts of the ledger that a method declares which is not one of fssbench's
            (`fssbench.ledger.facts.Facts`); empty if it declares none.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    name: str
    variant: str | None
    backbone: str | None
    task: Literal["fss", "fscs"]
    options: Mapping[str, Option] = field(default_factory=dict)
    learnable_parameters: int | None = None
    code: CodeRecord | None = None
    package: PackageRecord | None = None
    ledger: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
