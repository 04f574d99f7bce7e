"""A page for each protocol, and one that compares them with each other and with releases that are not repeated here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from fssbench.datasets.catalogue import dataset_title
from fssbench.episode.samplers import SAMPLERS
from fssbench.explaining.meaning import release_meaning, stated_text
from fssbench.methods.catalogue import list_methods, method_info
from fssbench.protocols import rules
from fssbench.protocols.choices import RESIZING
from fssbench.protocols.releases import TOPICS, Release, releases
from fssbench.protocols.rules import Protocol, protocol, shipped_protocols, size_in_words

from .markdown import block, code, page, plain, table
from .method_pages import printed_means

TOML = Path(rules.__file__).with_name("protocols.toml")


def protocol_pages() -> dict[str, str]:
    """Return the pages by their path in the site."""
    rows = [protocol(name) for name in shipped_protocols()]
    return {"protocols/compared.md": _compared(), "protocols/index.md": _index(rows)} | {
        f"protocols/{rule.name}.md": _page(rule) for rule in rows
    }


def _index(rows: list[Protocol]) -> str:
    intro = (
        "A protocol is the set of choices that make numbers of the same network on the same data differ: which "
        "episodes, at "
        "which size photos are shown and pixels are counted, what becomes of pixels labelled 255. Without "
        "`--protocol` a "
        "method is evaluated as its release does it. [Why one column holds many questions](compared.md) compares "
        "releases; "
        "[A protocol of your own](../own-protocol.md) says how to write one."
    )
    cells = [
        (
            f"[{rule.name}]({rule.name}.md)",
            rule.task.replace("fscs", "fs-cs"),
            f"{rule.way[0]}" if rule.way[0] == rule.way[1] else f"{rule.way[0]} to {rule.way[1]}",
            _episodes(rule),
            size_in_words(rule.input),
            " or ".join(sorted(rule.score_sizes, key=lambda size: size != rule.score_at)),
            {"leave-out": "left out", "background": "background"}[rule.ignore],
        )
        for rule in rows
    ]
    return page(
        "Protocols",
        intro,
        table(["protocol", "task", "ways", "episodes per fold", "input", "IoU at the size", "pixels of 255"], cells),
        "Overrides on single data sets are on the pages. `fssbench list protocols` prints this table, and "
        "`fssbench episodes show` the episodes that a protocol draws.",
    )


def _episodes(rule: Protocol) -> str:
    return f"{rule.episodes:,}{f' x {len(rule.seeds)} runs' if len(rule.seeds) > 1 else ''}"


def _page(rule: Protocol) -> str:
    users = [
        f"[{name}](../methods/{name}.md)"
        for name in list_methods()
        if rule.name in method_info(name).protocols.values()
    ]
    facts = [
        ("task", rule.task.replace("fscs", "fs-cs")),
        ("follows", plain(rule.source)),
        ("ways", f"{rule.way[0]}" if rule.way[0] == rule.way[1] else f"{rule.way[0]} to {rule.way[1]}"),
        ("episodes per fold", _episodes(rule)),
        ("seeds", ", ".join(map(str, rule.seeds))),
        ("split", rule.split),
        ("input", size_in_words(rule.input)),
        ("resizing", RESIZING[rule.resize]),
        ("pixels are counted", f"at the {rule.score_at} size{_other_size(rule)}"),
        ("pixels labelled 255", "left out of all counts" if rule.ignore == "leave-out" else "count as background"),
        ("a class without a pixel", "left out of the counts of the episode" if rule.absent == "leave-out" else ""),
        (
            "other classes of the episode",
            "neither foreground nor background" if rule.other_classes == "neither" else "",
        ),
        ("base classes", _base(rule)),
        ("the default of", ", ".join(users)),
        ("caveat", plain(rule.caveat)),
    ]
    overrides = [
        (
            dataset_title(name),
            code(rule.on(name).sampler),
            _episodes(rule.on(name)),
            rule.on(name).split,
            size_in_words(rule.on(name).input),
        )
        for name in rule.datasets
    ]
    shown = next(name for name in ("shapes20i", *rule.datasets) if name in rule.datasets)
    example = f"fssbench episodes show --protocol {rule.name} --dataset {shown} --fold 0 --rows 3"
    samplers = dict.fromkeys(rule.on(name).sampler for name in rule.datasets)
    notes = comments().get(rule.name, [])
    return page(
        rule.name,
        f"{plain(rule.title)}.",
        table(["", ""], [fact for fact in facts if fact[1]]),
        "## On each data set\n\n" + table(["data set", "drawn by", "episodes", "split", "input"], overrides),
        "## How episodes are drawn\n\n" + "\n".join(f"- {code(name)}: {plain(_sampler(name))}." for name in samplers),
        "## What is particular\n\n" + "\n".join(f"- {plain(' '.join(note.split()))}" for note in notes)
        if notes
        else "",
        f"## Look at its episodes\n\n{block(example, 'sh')}",
    )


def _sampler(name: str) -> str:
    text = inspect.getdoc(SAMPLERS[name].draw) or ""
    return (
        " ".join(text.split("\n\n")[0].split())
        .removeprefix("Yield ")
        .removeprefix("episodes: ")
        .replace(" (`listed`)", "")
        .rstrip(".")
    )


def _other_size(rule: Protocol) -> str:
    other = [size for size in rule.score_sizes if size != rule.score_at]
    return f"; `--protocol {rule.name}@{other[0]}` counts at the other" if other else ""


def _base(rule: Protocol) -> str:
    if rule.base is None:
        return ""
    if rule.base.asked == "apart":
        return "counted separately from the novel one"
    winner = "the novel class wins" if rule.base.merge == "final" else "a base class wins"
    return f"in one label map with the novel one; where both are found {winner} (threshold {rule.base.threshold})"


@cache
def comments() -> Mapping[str, list[str]]:
    """Return what the comments of protocols.toml say, by protocol: whole paragraphs, and those behind a value."""
    found: dict[str, list[str]] = {}
    waiting: list[str] = []
    name = where = ""
    for line in TOML.read_text(encoding="utf-8").splitlines():
        header = re.match(r"\[([\w-]+)(?:\.overrides\.([\w-]+))?", line)
        if header:
            name, where = header[1], f"{dataset_title(header[2])}, " if header[2] else ""
            waiting = [f"{dataset_title(header[2])}: {text}" for text in waiting] if header[2] else waiting
        if line.startswith("# "):
            if line.startswith("# - ") or not waiting:
                waiting.append(line.removeprefix("# ").removeprefix("- "))
            else:
                waiting[-1] += f" {line.removeprefix('# ')}"
            continue
        if name and line and waiting:
            found.setdefault(name, []).extend(waiting)
        waiting = []
        if behind := re.match(r"([\w-]+) = [^#]*# (.+)", line):
            found.setdefault(name, []).append(f"{where}{behind[1]}: {behind[2]}")
    return found


def _compared() -> str:
    known = [one for one in releases().values() if "coco20i" in one.datasets]
    others = [one for one in releases().values() if one not in known]
    asked = len({one.questions or one.name for one in known})
    return page(
        "One column, many questions",
        "Tables put numbers of many papers into one column, “COCO-20i, 1-shot, mIoU”. This page says what was "
        "asked to get them, read from the evaluation code of each release at the commit below. "
        f"These {len(known)} releases ask {asked} sets of questions that are not known to be the same.",
        '!!! warning "What follows for a table"\n\n    A difference of a point or two between two papers can be the '
        "episodes, the size at which pixels are counted, or the ignored rim, and not the method. fssbench evaluates "
        "several methods on the *same* episodes, and marks numbers that are not comparable. "
        "[Why two numbers differ](../explain.md) says what each choice is worth.",
        "## What was asked\n\nReleases with the same letter draw the same episodes of COCO-20i; those of two "
        "letters are not known to.\n\n"
        + _facts(known, "coco20i", ("episodes", "seeds", "generator", "queries", "supports")),
        "## Of which photos\n\n" + _facts(known, "coco20i", ("lists", "small", "folds", "training")),
        "## At which size, and how it is counted\n\nAlso on the same episodes, numbers differ by the size at which "
        "photos are shown and pixels are counted.\n\n"
        + _facts(known, "coco20i", ("input", "resize", "scored", "ignore"), runnable=True),
        "## How supports and classes are put together\n\n" + _facts(known, "coco20i", ("shots", "average", "note")),
        "## PASCAL-5i, where it is other\n\nThe facts that differ from those of COCO-20i, and the releases that have "
        "PASCAL-5i alone.\n\n" + _on_pascal([*known, *others]),
        "## Where they are read\n\nThe files of each fact are in `fssbench list protocols NAME --json`.\n\n"
        + table(["release", "repository and commit"], [(one.title, plain(one.place)) for one in releases().values()]),
        "## The same column, by what was asked\n\nPrinted means of COCO-20i in per cent, from `fssbench "
        "published list`, where this project has them with their source.\n\n"
        + table(["release", "questions", "backbone", "1-shot", "5-shot"], _printed(known)),
        "Beyond the episodes there is a question of what the weights have seen. SegGPT was trained on COCO with "
        "its test classes, and so was SANSA's generalist adapter, and SegIC in its in-domain form; a page of a method "
        "here says so under “what its weights have seen”.",
        "## Compare two of them\n\n"
        + block(
            "fssbench list protocols hsnet pfenet\nfssbench list protocols bam hdmnet sccan --dataset pascal5i",
            "sh",
        ),
        "What differs comes first. The same features under two protocols:\n\n"
        + block(
            "fssbench eval --method prototype --backbone small --dataset shapes20i --fold 0 --protocol hsnet "
            "--limit 20 --out runs/by-hsnet\n"
            "fssbench eval --method prototype --backbone small --dataset shapes20i --fold 0 --protocol pfenet "
            "--limit 20 --out runs/by-pfenet\n"
            "fssbench explain runs/by-hsnet runs/by-pfenet --rerun",
            "sh",
        ),
        "It says what each of their choices is worth.",
    )


def _facts(known: Sequence[Release], dataset: str, topics: Sequence[str], *, runnable: bool = False) -> str:
    """Return a table of facts, a row for each release."""
    rows = []
    for one in known:
        meaning = release_meaning(one, dataset)
        here = (f"[{one.protocol}]({one.protocol}.md)" if one.protocol else "not runnable here",) if runnable else ()
        facts = [plain(stated_text(meaning, topic)) if topic in meaning.choices else "" for topic in topics]
        rows.append((one.title, one.questions, *facts, *here))
    heads = [TOPICS[topic] for topic in topics] + (["here as"] if runnable else [])
    return table(["release", "questions", *heads], rows)


def _on_pascal(known: Sequence[Release]) -> str:
    rows = []
    for one in known:
        if "pascal5i" not in one.datasets:
            continue
        there = release_meaning(one, "pascal5i")
        coco = release_meaning(one, "coco20i") if "coco20i" in one.datasets else None
        for topic, words in TOPICS.items():
            text = stated_text(there, topic)
            if topic in there.choices and (coco is None or text != stated_text(coco, topic)):
                rows.append((one.title, words, plain(text)))
    return table(["release", "", "on PASCAL-5i"], rows)


def _printed(known: Sequence[Release]) -> list[tuple[str, ...]]:
    rows = [(one.title, one.questions, *_coco(one.methods[-1] if one.methods else "")) for one in known]
    return [row for row in rows if row[3] or row[4]]


def _coco(method: str) -> tuple[str, str, str]:
    """Return backbone and printed 1- and 5-shot means on COCO-20i of the method's best known backbone."""
    best = ("", "", "")
    for (_, dataset, task, backbone), settings in printed_means(method).items():
        if dataset == "coco20i" and task == "fss":
            one, five = (settings.get((1, shot)) for shot in (1, 5))
            means = tuple("" if row is None else row.numbers["mean"] for row in (one, five))
            if not best[1] or float(means[0] or 0) > float(best[1]):
                best = (backbone, means[0], means[1])
    return best
