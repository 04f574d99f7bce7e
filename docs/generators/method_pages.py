"""A page for each method, and one that shows all: facts of methods.toml, printed and measured numbers, checkpoints."""

from __future__ import annotations

import importlib
from pathlib import Path

from fssbench.cli.method_status import (
    MethodStatus,
    checkpoint_folds,
    k_shot_sentences,
    k_shot_text,
    measured_means,
    statuses,
)
from fssbench.datasets.catalogue import dataset_title
from fssbench.ledger.words import lines as ledger_lines
from fssbench.ledger.words import seen_of_papers
from fssbench.methods.catalogue import method_info
from fssbench.publications.load import publications
from fssbench.publications.rows import PrintedRow
from fssbench.publications.search import all_rows
from fssbench.publications.status import implementation_of
from fssbench.tables.printed import merit

from .markdown import block, code, page, plain, table

PICTURES = Path(__file__).parent.parent / "pictures" / "methods"

FAMILIES = {
    "Trained on base classes": "A network learns from episodes of the base classes, and is evaluated on the "
    "novel ones.",
    "Without training": "Public networks are used as they are. What their weights have seen is on each page.",
    "Floors": "No learning at all. A method that does not clearly beat them has learned nothing from its supports.",
}
"""The headings under which methods are listed."""


def family_of(status: MethodStatus) -> str:
    """Return the heading of a method."""
    if status.training == "trained":
        return "Trained on base classes"
    return "Without training" if status.source else "Floors"


def method_pages() -> dict[str, str]:
    """Return the pages by their path in the site."""
    known = sorted(statuses(), key=lambda status: (status.venue.rpartition(" ")[2], status.venue, status.name))
    pages = {"methods/index.md": _index(known)}
    for family in FAMILIES:
        pages |= {f"methods/{one.name}.md": _page(one) for one in known if family_of(one) == family}
    return pages


def method_families() -> dict[str, list[str]]:
    """Return the paths of the pages by heading."""
    known = {one.name: family_of(one) for one in statuses()}
    paths = [path for path in method_pages() if path != "methods/index.md"]
    return {family: [path for path in paths if known[Path(path).stem] == family] for family in FAMILIES}


def title_of(name: str) -> str:
    """Return the name of a method as papers print it."""
    papers = publications().methods
    if name in papers:
        return papers[name].name
    module = importlib.import_module(method_info(name).target.partition(":")[0])
    spelled = (module.__doc__ or "").partition(":")[0]
    return spelled if spelled.lower() == name else name


def _index(known: list[MethodStatus]) -> str:
    header = ["method", "venue", "tasks", "K supports", "parameters learned", "weights"]
    parts = []
    for family, words in FAMILIES.items():
        rows = [
            (
                f"[{title_of(one.name)}]({one.name}.md)",
                one.venue,
                ", ".join(one.tasks),
                k_shot_text(one),
                f"{next(iter(one.learnable.values())) / 1e6:.2f} M" if one.learnable else "",
                {"released": "released", "fssbench": "for shapes20i, with fssbench"}.get(one.weights, ""),
            )
            for one in known
            if family_of(one) == family
        ]
        parts.append(f"## {family}\n\n{words}\n\n{table(header, rows)}")
    papers = publications().methods
    printed_only = [
        (paper.name, paper.venue, plain(paper.title), plain(paper.missing))
        for name, paper in papers.items()
        if implementation_of(name) is None and name != "unresolved"
    ]
    parts.append(
        "## Printed numbers only\n\nThe tables also hold what these papers print. They are not implemented here.\n\n"
        + table(["method", "venue", "paper", "what its paper leaves open"], printed_only)
    )
    intro = (
        "Each page says what the method does, where its code follows the release, how it uses several supports, "
        "and what "
        "was printed and measured. `fssbench list methods` shows the same in the terminal."
    )
    return page("Methods", intro, *parts)


def _page(status: MethodStatus) -> str:
    info = method_info(status.name)
    module = info.target.partition(":")[0]
    paper = f"*{plain(status.title)}*{f', {status.venue}' if status.venue else ''}." if status.source else ""
    facts = [
        ("name", code(status.name)),
        ("follows", plain(status.source)),
        ("tasks", ", ".join(status.tasks)),
        ("variants", ", ".join(map(code, status.variants))),
        ("variants of the ablation", ", ".join(map(code, status.ablation))),
        ("backbones", ", ".join(map(code, status.backbones))),
        ("parameters learned", ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in status.learnable.items())),
        ("adapts when it predicts", "yes, to the supports or the query of the episode" if status.adapts else ""),
        ("K supports", "; ".join(k_shot_sentences(status))),
        (
            "protocol of its release",
            ", ".join(f"[{name}](../protocols/{name}.md) ({task})" for task, name in status.protocols.items()),
        ),
        ("what its weights have seen", plain(status.seen)),
        ("differs from its release", plain(status.differs)),
        ("file", code(f"{module.replace('.', '/')}.py")),
    ]
    return page(
        title_of(status.name),
        paper,
        f"## Idea\n\n{plain(status.idea)}",
        _picture(status),
        f"## Facts\n\n{table(['', ''], [fact for fact in facts if fact[1]])}",
        _ledger(status),
        _example(status),
        _checkpoints(status.name),
        _printed(status.name),
        _measured(status),
        f"## In the code\n\nThe file reads in the order of the paper. What is quoted as “Eq.” or “section” is "
        f"the paper's."
        f"\n\n::: {module}\n    options:\n      show_root_heading: false\n      show_root_toc_entry: false\n"
        f"      show_source: true\n      heading_level: 3\n",
    )


def _ledger(status: MethodStatus) -> str:
    """Return the ledger with the default backbone, and which classes of the papers' data sets were seen."""
    default = status.backbones[0] if status.backbones else None
    facts = [(head, plain(text)) for head, text, _ in ledger_lines(status.facts, default)]
    facts += [(head, plain(text)) for head, text in seen_of_papers(status.facts, default)]
    facts.append(("stated in", plain(status.facts.source)))
    which = f" With {code(default)}:" if default else ""
    intro = f"What weights have seen and what is given, see [the ledger](../ledger.md).{which}"
    return f"## What was seen before the test\n\n{intro}\n\n{table(['', ''], [fact for fact in facts if fact[1]])}"


def _picture(status: MethodStatus) -> str:
    if not (PICTURES / f"{status.name}.webp").exists():
        why = (
            "its networks are fetched and are too large for these pages"
            if family_of(status) == "Without training"
            else "no trained weights come with fssbench"
        )
        return f"*No picture: {why}.*"
    return (
        f"![{title_of(status.name)} on three episodes of shapes20i: supports, queries with the truth, predictions]"
        f"(../pictures/methods/{status.name}.webp)\n\nSupport, query with its truth, and prediction, on three "
        "episodes of `shapes20i` fold 0. Small weights that were trained for minutes; IoU is that of the "
        "episode."
    )


def _shipped(status: MethodStatus) -> bool:
    """Return whether trained weights for the embedded data set come with fssbench."""
    return any("shapes20i" in one.dataset and one.place == "with fssbench" for one in checkpoint_folds(status.name))


def _example(status: MethodStatus) -> str:
    evaluated = "fscs" if status.tasks == ("fs-cs",) else ""
    task = " --task fs-cs" if evaluated else ""
    if status.weights in ("released", "fssbench") and _shipped(status):
        line = f"fssbench eval --method {status.name} --dataset shapes20i --fold 0{task} --out runs/{status.name}"
        words = "With the weights that come with fssbench; nothing is downloaded:"
    elif status.weights == "not needed" and not status.source:
        line = f"fssbench eval --method {status.name} --dataset shapes20i --fold 0{task} --out runs/{status.name}"
        words = "Nothing is downloaded:"
    elif status.training == "training-free":
        line = f"fssbench eval --method {status.name} --dataset coco20i --fold 0{task} --out runs/{status.name}"
        words = "Its networks are fetched first; see [methods without training](../training-free.md):"
    else:
        line = f"fssbench train --method {status.name} --dataset shapes20i --fold 0{task} --out runs/{status.name}"
        words = "No weights come with fssbench. It is trained like this:"
    return f"## Try it\n\n{words}\n\n{block(line, 'sh')}"


def _checkpoints(name: str) -> str:
    found = checkpoint_folds(name)
    if not found:
        return ""
    rows = [
        (
            code(one.ids[0]) + (f" and {len(one.ids) - 1} more" if len(one.ids) > 1 else ""),
            one.variant,
            one.backbone,
            dataset_title(one.dataset),
            one.place,
            one.licence,
        )
        for one in found
    ]
    return (
        "## Checkpoints\n\n`fssbench checkpoints show ID` shows a record, `fssbench checkpoints fetch ID` gets "
        "the file.\n\n" + table(["id", "variant", "backbone", "trained on", "where", "licence"], rows)
    )


def printed_means(name: str) -> dict[tuple[str, str, str, str], dict[tuple[int | None, int | None], PrintedRow]]:
    """Return the best-sourced printed row of each setting, by (variant, data set, task, backbone), then (way, shot)."""
    known = publications()
    found: dict[tuple[str, str, str, str], dict[tuple[int | None, int | None], list[PrintedRow]]] = {}
    for one in all_rows(known):
        row = one.row
        if row.method == name and row.role == "result" and row.numbers.get("mean"):
            group = found.setdefault((row.variant, row.dataset, row.task, row.backbone), {})
            group.setdefault((row.way, row.shot), []).append(row)
    return {
        key: {setting: max(rows, key=lambda row: merit(known, row)) for setting, rows in group.items()}
        for key, group in found.items()
    }


def _printed(name: str) -> str:
    sources = publications().sources
    rows = [
        (
            dataset_title(dataset),
            task.replace("fscs", "fs-cs"),
            variant,
            backbone,
            _setting(way if task == "fscs" else None, shot),
            row.numbers["mean"],
            row.numbers.get("fb_iou", ""),
            row.numbers.get("er_mean", ""),
            plain(sources[row.source].cite),
        )
        for (variant, dataset, task, backbone), settings in printed_means(name).items()
        for (way, shot), row in settings.items()
    ]
    if not rows:
        return ""
    header = ["data set", "task", "variant", "backbone", "setting", "mIoU", "FB-IoU", "exact ratio", "printed in"]
    return (
        "## Printed\n\nMeans over the folds, in per cent. Where several sources print a number, the one nearest to the "
        f"authors is shown; `fssbench published show {name}` has all of them, with folds, confidence and notes.\n\n"
        + table(header, rows)
    )


def _setting(way: int | None, shot: int | None) -> str:
    return " ".join(f"{count}-{kind}" for count, kind in ((way, "way"), (shot, "shot")) if count) or "not printed"


def _measured(status: MethodStatus) -> str:
    rows = [
        (
            dataset_title(one.dataset),
            one.task,
            one.variant,
            one.backbone,
            f"{one.way}-way {one.shot}-shot",
            f"{one.miou:.1f}",
            one.folds,
        )
        for one in measured_means(status.name)
    ]
    if not rows:
        return ""
    header = ["data set", "task", "variant", "backbone", "setting", "mIoU", "folds"]
    trained = "The weights are small, and were trained here. " if status.training == "trained" else ""
    if trained and not _shipped(status):
        trained = "The weights are small, were trained here, and do not come with fssbench. "
    return (
        f"## Measured here\n\n{trained}In per cent, mean over the folds. These numbers compare methods on rendered "
        "images; they say nothing about photographs.\n\n" + table(header, rows)
    )
