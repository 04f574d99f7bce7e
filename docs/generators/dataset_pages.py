"""A page for each data set, and one that shows all: where it comes from, its tree, classes and folds, its protocols."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path

import fssbench
from fssbench.datasets.catalogue import REGISTRY, DatasetInfo, dataset_info, list_datasets
from fssbench.datasets.fetching.sources import Part, Source, source_of
from fssbench.downloads.shown import size_text
from fssbench.protocols.rules import Protocol, protocol, shipped_protocols, size_in_words

from .markdown import block, code, in_text, linked, page, plain, table

FIRST = ("shapes20i", "shapes20i-underwater", "pascal5i", "coco20i", "fss1000", "folder")
"""The data sets that stand first; the others follow by name."""


def dataset_pages() -> dict[str, str]:
    """Return the pages by their path in the site."""
    names = [*FIRST, *(name for name in list_datasets() if name not in FIRST)]
    infos = [dataset_info(name) for name in names]
    return {"datasets/index.md": _index(infos)} | {f"datasets/{info.name}.md": _page(info) for info in infos}


def _index(infos: list[DatasetInfo]) -> str:
    rows = []
    for info in infos:
        source = source_of(info.name)
        rows.append(
            (
                f"[{info.title}]({info.name}.md)",
                code(info.name),
                info.folds or "by dataset.toml",
                code(info.folder_name) if not info.rendered else "rendered, no files",
                _size(source) if source else "",
                plain(source.licence) if source else "",
            )
        )
    intro = (
        "A data set is named by `--dataset`. Its files are in a folder of its own below the data folder, which "
        "`--root` or "
        "`FSSBENCH_DATA` names. `fssbench data list` shows what of it is on this machine, and "
        "[Getting data](../data.md) goes from an empty disk to an evaluation."
    )
    header = ["data set", "name", "folds", "folder", "to download", "terms"]
    return page("Data sets", intro, table(header, rows))


def _size(source: Source) -> str:
    sizes = [part.bytes for part in source.parts if part.url and part.bytes is not None]
    by_hand = any(part.page for part in source.parts)
    return f"{size_text(sum(sizes))}{', and a part by hand' if by_hand else ''}" if sizes else "by hand"


def _page(info: DatasetInfo) -> str:
    source = source_of(info.name)
    module = info.target.partition(":")[0]
    described = inspect.getdoc(importlib.import_module(module)) or ""
    if info.same_scenes_as:  # one of two in its module
        described = f"{inspect.getdoc(REGISTRY.get(info.name)) or ''}\n\n{described}"
    return page(
        info.title,
        f"`--dataset {info.name}`. {_paragraphs(described)}",
        _how_to_get(info, source),
        _tree(info, source),
        _classes(info),
        _counts(info.name),
        _protocols(info.name),
        _where(source),
    )


def _paragraphs(docstring: str) -> str:
    return "\n\n".join(in_text(" ".join(one.split())) for one in docstring.split("\n\n"))


def _how_to_get(info: DatasetInfo, source: Source | None) -> str:
    if info.rendered:
        return "## Files\n\nThere are none: images are rendered when they are needed, the same pixels on every machine."
    if info.own:
        return (
            "## Files\n\nYour own: [Your own photos](../own-data.md) has the layout, the kinds of masks and the checks."
        )
    if source is None:
        return ""
    lines = [f"fssbench data fetch {info.name}", f"fssbench data check {info.name}"]
    by_hand = [part for part in source.parts if part.page]
    words = f"To evaluate it takes: {plain(source.evaluate)}. " if source.evaluate else ""
    words += f"Terms: {plain(source.licence)} (<{source.page}>)." if source.licence else ""
    parts = [f"## Getting it\n\n{words}\n\n{block(chr(10).join(lines), 'sh')}"]
    if by_hand:
        rows = [(part.what, linked(part.page), " or ".join(map(code, part.files))) for part in by_hand]
        parts.append(
            f"{_fetched_by(by_hand)}Open the page in a browser, save the file under its name in the folder "
            f"`{info.folder_name}`, and run the first command again: it unpacks the file.\n\n"
            + table(["what", "page", "file"], rows)
        )
    return "\n\n".join(parts)


def _fetched_by(by_hand: list[Part]) -> str:
    if all("drive.google.com" in part.page for part in by_hand):
        return "Files on Google Drive are fetched after `pip install 'fssbench[drive]'`, or by hand. "
    return "A program can't fetch these. "


def _tree(info: DatasetInfo, source: Source | None) -> str:
    if source is None:
        return ""
    rows = [
        (code(f"{info.folder_name}/{pattern}"), f"{count:,}", _what(part, pattern))
        for part in source.parts
        for pattern, count in part.holds.items()
    ]
    text = "## The tree\n\nBelow the data folder, with the number of files of the whole data set:\n\n"
    text += table(["path", "files", "what"], rows)
    if source.tree:
        text += (
            f"\nThe same in words, with the other layouts that are understood:\n\n{block(source.tree.strip(chr(10)))}"
        )
    return text


def _what(part: Part, pattern: str) -> str:
    needed = [f"for {part.split} only"] if part.split and not part.lists else []
    if pattern in part.made_into:
        needed.append(f"not needed once the {part.made_into[pattern]} are there")
    return f"{part.what}{f' ({chr(44).join(needed)})' if needed else ''}".replace(",", ", ")


def _facts(info: DatasetInfo) -> dict[str, object]:
    """Return the content of the data set's facts.toml; empty if it has none."""
    folder = Path(inspect.getfile(REGISTRY.get(info.name))).parent
    name = REGISTRY.get(info.name).__module__.rpartition(".")[2]
    for path in (folder / f"{name}.toml", folder / "facts.toml"):
        if path.exists():
            return tomllib.loads(path.read_text(encoding="utf-8"))
    return {}


def novel_classes(info: DatasetInfo) -> dict[int, list[str]]:
    """Return the names of the novel classes of each fold, as far as they are known without files."""
    if info.rendered:
        dataset = fssbench.open_dataset(info.name)
        return {fold: [dataset.class_names[c] for c in dataset.fold_classes(fold)] for fold in range(info.folds)}
    names = _facts(info).get("classes")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return {}
    if info.folds == 1:
        return {0: names}
    cls = REGISTRY.get(info.name)
    seen = {fold: cls.seen_in_training(fold) for fold in range(info.folds)}
    if not all(seen.values()):  # evaluated only, its classes in blocks
        size = len(names) // info.folds
        return {fold: names[fold * size : (fold + 1) * size] for fold in range(info.folds)}
    return {fold: [name for name in names if name not in (known or ())] for fold, known in seen.items()}


def _classes(info: DatasetInfo) -> str:
    folds = novel_classes(info)
    if not folds:
        return ""
    if len(folds) == 1:
        return f"## Classes\n\nThere are no folds: all classes are tested.\n\n{', '.join(map(plain, folds[0]))}."
    rows = [(fold, len(names), ", ".join(names)) for fold, names in folds.items()]
    return (
        "## Classes and folds\n\nThe novel classes of each fold, which are tested. All other classes are its "
        "base classes, "
        "which are trained on.\n\n" + table(["fold", "classes", "novel classes"], rows)
    )


def _counts(name: str) -> str:
    official = _facts(dataset_info(name)).get("official")
    if not isinstance(official, dict):
        return ""
    rows: list[tuple[object, ...]] = []
    for split, facts in official.items():
        if isinstance(facts, dict) and "entries" in facts:
            rows.append((split, *(f"{count:,}" for count in facts["entries"])))
    if not rows:
        return ""
    return (
        "## The lists\n\nEntries of the lists of each fold: pairs of an image and a class. `fssbench data check` "
        "compares "
        "them with the release, by number and by hash.\n\n"
        + table(["split", *(f"fold {n}" for n in range(len(rows[0]) - 1))], rows)
    )


def _protocols(name: str) -> str:
    rows = []
    for rule in map(protocol, shipped_protocols()):
        if name in rule.datasets:
            here = rule.on(name)
            rows.append(
                (f"[{rule.name}](../protocols/{rule.name}.md)", rule.task.replace("fscs", "fs-cs"), *_counted(here))
            )
    if not rows:
        return "## Protocols\n\nEvery protocol can be used." if dataset_info(name).own else ""
    return "## Protocols that are defined for it\n\n" + table(["protocol", "task", "episodes", "input", "IoU at"], rows)


def _counted(here: Protocol) -> Iterator[str]:
    yield f"{here.episodes:,}{f' x {len(here.seeds)} runs' if len(here.seeds) > 1 else ''}"
    yield size_in_words(here.input)
    yield f"{here.score_at} size"


def _where(source: Source | None) -> str:
    if source is None:
        return ""
    rows = [
        (part.what, linked(part.url or part.page) if not part.command else code(_command(part, source)), _stated(part))
        for part in source.parts
    ]
    return (
        "## Where its files come from, and who states it\n\n"
        "A downloaded file is compared with the size and the hash that are stated for it.\n\n"
        + table(["part", "from", "size, hash, and their source"], rows)
    )


def _command(part: Part, source: Source) -> str:
    return part.command.format(folder=f"DIR/{dataset_info(source.name).folder_name}")


def _stated(part: Part) -> str:
    size = f"{size_text(part.size)}; " if part.size else f"about {size_text(part.about)}; " if part.about else ""
    sums = [f"{kind} `{value[:12]}…`" for kind, value in (("sha256", part.sha256), ("md5", part.md5)) if value]
    return f"{size}{'; '.join(sums)}{'; ' if sums and part.source else ''}{linked(part.source)}"
