"""`fssbench list ... --json`: an object for each name, with numbers as numbers and lists as lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fssbench.errors import FSSBenchError


def methods() -> list[dict[str, object]]:
    """Return all fields of `MethodStatus` for each method."""
    from fssbench.cli.method_status import as_object, statuses

    return [as_object(status) for status in statuses()]


def datasets() -> list[dict[str, object]]:
    """Return the data sets; `folds` is null where the files define it, `folder` where there are no files."""
    from fssbench.datasets.catalogue import dataset_info, list_datasets
    from fssbench.protocols.rules import readable_protocols

    known = readable_protocols()
    return [
        {
            "dataset": info.name,
            "title": info.title,
            "folds": info.folds or None,
            "folder": None if info.rendered else info.folder_name,
            "rendered": info.rendered,
            "protocols": [one.name for one in known if one.takes(info.name)],
        }
        for info in map(dataset_info, list_datasets())
    ]


def protocols() -> list[dict[str, object]]:
    """Return the protocols; one that can't be read has its reason in `error`, and null elsewhere.

    `input` is height and width, null for the photos' own size; `package` is null for fssbench's own.
    """
    from fssbench.protocols.rules import own_protocols, shipped_protocols

    packages: dict[str, str | None] = dict.fromkeys(shipped_protocols()) | own_protocols()
    return [_protocol(name, package) for name, package in packages.items()]


def _protocol(name: str, package: str | None) -> dict[str, object]:
    from fssbench.cli.method_status import TASKS
    from fssbench.protocols.rules import protocol

    fields: dict[str, object] = dict.fromkeys(
        ("title", "task", "ways", "episodes", "runs", "input", "iou_at", "ignore", "datasets", "error")
    )
    try:
        found = protocol(name)
    except FSSBenchError as error:
        fields["error"] = error.message
    else:
        fields |= {
            "title": found.title,
            "task": TASKS[found.task],
            "ways": list(found.way),
            "episodes": found.episodes,
            "runs": len(found.seeds),
            "input": list(found.input) if all(found.input) else None,
            "iou_at": list(dict.fromkeys((found.score_at, *found.score_sizes))),
            "ignore": found.ignore,
            "datasets": list(found.datasets),
        }
    return {"protocol": name, "package": package, **fields}


def backbones(users: Mapping[str, Sequence[str]]) -> list[dict[str, object]]:
    """Return the backbones, each with the methods that take it."""
    return [{"backbone": name, "methods": list(methods)} for name, methods in users.items()]
