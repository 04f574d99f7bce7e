"""Names of backbones from the Hugging Face hub: "hf:OWNER/NAME[@REVISION][#LAYERS]", or "hf:./FOLDER[#LAYERS]"."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from fssbench.errors import UsageError
from fssbench.escape import plain

PREFIX = "hf:"
EXAMPLE = "hf:facebook/dinov2-small, hf:OWNER/NAME@REVISION or hf:./FOLDER; #6,9,12 at the end chooses layers"
_LAYERS = re.compile(r"(.*)#(\d{1,3}(?:,\d{1,3})*)", re.ASCII | re.DOTALL)
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?", re.ASCII)


@dataclass(frozen=True)
class HubName:
    """What the name of a backbone says.

    Attributes:
        repository: The model's name on the hub; empty for a folder.
        revision: Its branch, tag or commit; empty for the main branch.
        folder: The folder; empty for a model of the hub.
        layers: Numbers of the blocks or stages whose maps are used, from 1; empty for the family's own choice.
    """

    repository: str = ""
    revision: str = ""
    folder: str = ""
    layers: tuple[int, ...] = ()

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.folder).expanduser()

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        layers = f"#{','.join(map(str, self.layers))}" if self.layers else ""
        return f"{PREFIX}{self.folder or self.repository}{at}{layers}"


def is_hub_name(name: str) -> bool:
    """Return whether the name of a backbone is one of the hub."""
    return name.startswith(PREFIX)


def without_revision(name: str) -> str:
    """Return the name of a backbone without the revision of a model of the hub; another name as it is."""
    return str(replace(hub_name(name), revision="")) if is_hub_name(name) else name


def hub_name(name: str) -> HubName:
    """Return what a name says.

    Raises:
        UsageError: If it is not of the form.

    Examples:
        >>> hub_name("hf:facebook/dinov2-small@main#6,12")
        HubName(repository='facebook/dinov2-small', revision='main', folder='', layers=(6, 12))
        >>> hub_name("hf:./my@model").folder
        './my@model'
    """
    rest = name.removeprefix(PREFIX)
    layers: tuple[int, ...] = ()
    if match := _LAYERS.fullmatch(rest):
        rest, layers = match[1], tuple(map(int, match[2].split(",")))
    if 0 in layers or list(layers) != sorted(set(layers)):
        raise UsageError(
            f"layers are numbers from 1, each once and in order, not #{','.join(map(str, layers))}", EXAMPLE
        )
    if rest.startswith((".", "/", "~")):
        return HubName(folder=rest, layers=layers)
    if not is_hub_name(name) or not _REPOSITORY.fullmatch(rest):
        raise UsageError(f"'{plain(name)}' does not name a model of the Hugging Face hub", EXAMPLE)
    repository, _, revision = rest.partition("@")
    return HubName(repository, revision, layers=layers)
