"""A model's files in the hub's cache: found without the network, or downloaded."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError, MissingError, UsageError
from fssbench.extras import imported_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

WEIGHTS = "model.safetensors"
"""The file of a model's weights."""
INDEX = "model.safetensors.index.json"
"""The list of the files of weights that are divided among several."""
FILES = (
    *("config.json", "preprocessor_config.json", "processor_config.json"),
    *(WEIGHTS, INDEX, "model-*-of-*.safetensors"),
    "README.md",  # the model card, for the licence
)
"""What is downloaded of a model: no code, and nothing pickled."""

_NO_NETWORK = "copy the model's folder from elsewhere, and name it as hf:./FOLDER"


@dataclass(frozen=True)
class Snapshot:
    """The files of a model at one revision.

    Attributes:
        folder: Where they are.
        repository: The model's name on the hub; empty for a local folder.
        revision: The commit; empty for a local folder.
    """

    folder: Path
    repository: str = ""
    revision: str = ""


def cached(repository: str, revision: str, files: Sequence[str]) -> Snapshot | None:
    """Return a model's snapshot from the hub's cache, without the network; None if one of the files is not there.

    Args:
        repository: e.g. "facebook/dinov2-small".
        revision: A branch, a tag or a commit; empty for the main branch.
        files: The files that are needed.

    Raises:
        UsageError: If there can be no such name.
        MissingError: If huggingface_hub is not installed.
    """
    library = hub_library()
    try:
        folder = library.snapshot_download(
            repository, revision=revision or None, cache_dir=cache_folder(), local_files_only=True, allow_patterns=files
        )
    except library.errors.LocalEntryNotFoundError:
        return None
    except (library.errors.HFValidationError, ValueError) as error:
        raise _no_name(repository) from error
    found = Path(folder)
    return _snapshot(repository, found) if all((found / name).is_file() for name in files) else None


def downloaded(
    repository: str,
    revision: str,
    files: Sequence[str] = FILES,
    *,
    progress: bool = False,
    instead: str = _NO_NETWORK,
) -> Snapshot:
    """Download a model's files into the hub's cache and return its snapshot.

    Args:
        repository: e.g. "facebook/dinov2-small".
        revision: A branch, a tag or a commit; empty for the main branch.
        files: Names or patterns of the files.
        progress: Whether to show progress bars.
        instead: What helps without a network.

    Raises:
        UsageError: If there can be no such name.
        MissingError: If there is no such model or revision, it is gated, or the hub can't be reached.
    """
    library = hub_library()
    try:
        with _bars(library, shown=progress):
            folder = library.snapshot_download(
                repository, revision=revision or None, cache_dir=cache_folder(), allow_patterns=list(files)
            )
    except Exception as error:  # its own errors, and those of two HTTP libraries
        raise _refusal(library, repository, revision, error, instead) from error
    return _snapshot(repository, Path(folder))


def cache_folder() -> Path:
    """Return the folder of the hub's cache."""
    if place := os.environ.get("HF_HUB_CACHE"):
        return Path(place).expanduser()
    return Path(hub_library().constants.HF_HUB_CACHE)


def hub_library() -> ModuleType:
    """Import huggingface_hub.

    Raises:
        MissingError: If it is not installed, with the command that installs it.
    """
    what = "models of the Hugging Face hub need packages that are not here"
    for name in ("huggingface_hub.constants", "huggingface_hub.errors"):  # attributes once they are imported
        imported_extra(name, what, "hub")
    return imported_extra("huggingface_hub", what, "hub")


def page(repository: str) -> str:
    """Return the address of a model's page."""
    return f"https://huggingface.co/{repository}"


def revision_of(folder: Path) -> str:
    """Return the commit that a folder of the hub's cache holds; empty for a folder elsewhere."""
    return folder.name if folder.parent.name == "snapshots" else ""


def _snapshot(repository: str, folder: Path) -> Snapshot:
    return Snapshot(folder, repository, revision_of(folder))


@contextmanager
def _bars(library: ModuleType, *, shown: bool) -> Iterator[None]:
    before = library.utils.are_progress_bars_disabled()
    if not shown:
        library.utils.disable_progress_bars()
    try:
        yield
    finally:
        if not shown and not before:
            library.utils.enable_progress_bars()


def _no_name(repository: str) -> UsageError:
    return UsageError(
        f"'{repository}' can't be the name of a model on the Hugging Face hub",
        "hf:OWNER/NAME, e.g. hf:facebook/dinov2-small; a local folder is hf:./FOLDER",
    )


def _refusal(library: ModuleType, repository: str, revision: str, error: Exception, instead: str) -> FSSBenchError:
    errors, address = library.errors, page(repository)
    login = "hf auth login"
    if isinstance(error, FSSBenchError):
        return error
    if isinstance(error, errors.HFValidationError):
        return _no_name(repository)
    if isinstance(error, errors.GatedRepoError):
        return MissingError(
            f"{repository} is gated: its terms have to be accepted before it can be downloaded",
            f"accept them at {address}, then {login}",
        )
    if isinstance(error, errors.RepositoryNotFoundError) or _status(error) == 401:
        return MissingError(
            f"the Hugging Face hub has no model {repository}, or it is private",
            f"check the name at {address}; for a private model {login}",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return MissingError(f"{repository} has no revision {revision}", f"see {address}/commits/main")
    where = f"{repository} is not complete in the hub's cache ({cache_folder()})"
    causes = (error, error.__cause__)
    if any(isinstance(cause, library.errors.OfflineModeIsEnabled) for cause in causes):
        return MissingError(f"{where}, and HF_HUB_OFFLINE forbids a download", f"HF_HUB_OFFLINE=0; or {instead}")
    if (status := _status(error)) is not None:
        return MissingError(f"{repository} could not be downloaded: the hub says {status}", "try again later")
    reason = type(error.__cause__ or error).__name__
    return MissingError(f"{where}, and the hub can't be reached ({reason})", f"again with a network; or {instead}")


def _status(error: Exception) -> int | None:
    """Return the HTTP status of an error of the hub; None for another error."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
