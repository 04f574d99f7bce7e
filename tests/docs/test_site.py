"""The site without its generator: generated pages are made, all are in the navigation, links lead somewhere."""

from __future__ import annotations

import importlib.util
import posixpath
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from docs.generators.dataset_pages import novel_classes
from docs.generators.protocol_pages import comments
from fssbench.cli import _COMMANDS
from fssbench.datasets.catalogue import dataset_info, list_datasets
from fssbench.methods.catalogue import list_methods
from fssbench.protocols.releases import DERIVED, releases
from fssbench.protocols.rules import protocol, shipped_protocols
from tests.docs.pages import REPOSITORY, WRITTEN, blocks, generated, heading_ids, pages

CONFIG = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
PAGES_OF_DOCUMENTS = {"contributing.md", "changelog.md", "security.md", "baselines.md", "published.md"}


def test_every_method_data_set_protocol_and_command_has_a_page() -> None:
    made = set(generated())
    assert {f"methods/{name}.md" for name in list_methods()} <= made
    assert {f"datasets/{name}.md" for name in list_datasets()} <= made
    assert {f"protocols/{name}.md" for name in shipped_protocols()} <= made
    assert {f"reference/commands/{name}.md" for name in _COMMANDS} <= made


def test_a_page_holds_what_is_known() -> None:
    hsnet = generated()["methods/hsnet.md"]
    for text in (
        "Centre-pivot 4D convolutions",
        "juhongm999/hsnet@6b1bc12",
        "| PASCAL-5i | fss | resnet50 | 1-shot | 64.0 |",
    ):
        assert text in hsnet
    assert "the masks vote" in hsnet
    assert "12,031" in generated()["datasets/pascal5i.md"]
    assert "| 1 | 5 | bus, car, cat, chair, cow |" in generated()["datasets/pascal5i.md"]
    assert "a run goes on where the one before has ended" in generated()["protocols/repri.md"]
    assert "`--shots K,...`" in generated()["reference/commands/eval.md"]
    assert "::: fssbench.episode.draw.episodes" in generated()["reference/python.md"]


def test_the_classes_on_the_pages_are_those_of_the_data_sets() -> None:
    for name, folds, each in (("pascal5i", 4, 5), ("coco20i", 4, 20), ("isaid5i", 3, 5), ("shapes20i", 4, 5)):
        found = novel_classes(dataset_info(name))
        assert [len(names) for names in found.values()] == [each] * folds
        assert len({one for names in found.values() for one in names}) == folds * each
    assert novel_classes(dataset_info("coco20i"))[0][:2] == ["person", "airplane"]


def test_what_is_compared_agrees_with_the_protocols_here() -> None:
    known = releases()
    assert len(known) >= 15
    page = generated()["protocols/compared.md"]
    for name, release in known.items():
        assert f"| {release.title} |" in page, name
        if release.protocol:
            rule = protocol(release.protocol)
            assert release.commit in rule.source or f"{release.place} " in _notes(release.protocol), name
            assert not set(DERIVED) & set(release.facts), name


def _notes(name: str) -> str:
    """What protocols.toml says of other releases with the same evaluation."""
    return " ".join(comments()[name]).replace(",", " ")


def test_the_comments_of_the_protocols_are_read_whole() -> None:
    found = comments()
    assert set(found) <= set(shipped_protocols())
    assert any(note.startswith("Three things of the release") for note in found["fssdino"])
    assert any("COCO-20i" in note for note in found["panet"])
    assert "the stop comes one episode late" in " ".join(found["pfenet"])


def test_every_page_is_in_the_navigation_once() -> None:
    named = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", CONFIG.partition("\nnav:")[2], re.MULTILINE)
    assert sorted(named) == sorted(set(named))
    written = {path.name for path in WRITTEN.glob("*.md")}
    added_by_the_hook = {path for path in generated() if path not in named}
    assert {posixpath.dirname(path) for path in added_by_the_hook} == {
        "methods", "datasets", "protocols", "reference/commands",
    }  # fmt: skip
    assert set(named) - PAGES_OF_DOCUMENTS == written | (set(generated()) - added_by_the_hook)


@pytest.mark.parametrize("name", sorted(pages()))
def test_links_lead_somewhere(name: str) -> None:
    text = re.sub(r"^```.*?^```", "", pages()[name], flags=re.MULTILINE | re.DOTALL)
    folder = posixpath.dirname(name)
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        target = posixpath.normpath(posixpath.join(folder, path)) if path else name
        assert target in pages() or (WRITTEN / target).is_file(), f"{name}: {path}"
        if anchor:
            there = pages().get(target) or (WRITTEN / target).read_text(encoding="utf-8")
            assert anchor in heading_ids(there), f"{name}: {path}#{anchor}"


def test_pictures_are_small_and_have_a_text_of_their_own() -> None:
    pictures = [path for path in (WRITTEN / "pictures").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in pictures) < 1_500_000
    for name, text in pages().items():
        for words, path in re.findall(r"!\[(.*?)\]\((.*?)\)", text):
            assert words, name
            picture = WRITTEN / posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            with Image.open(picture) as opened:
                assert opened.width > 100


def test_pages_of_methods_show_their_pictures() -> None:
    drawn = {path.stem for path in (WRITTEN / "pictures" / "methods").glob("*.webp")}
    assert len(drawn) > 15
    for name in drawn:
        assert f"../pictures/methods/{name}.webp" in generated()[f"methods/{name}.md"]


def test_a_page_without_a_picture_says_why() -> None:
    drawn = {path.stem for path in (WRITTEN / "pictures" / "methods").glob("*.webp")}
    without = set(list_methods()) - drawn
    assert {"mlc", "ppnet", "oslsm", "asnet-hm", "gfsam"} <= without
    for name in list_methods():
        text = generated()[f"methods/{name}.md"]
        assert ("*No picture: " in text) == (name in without), name
        assert "../pictures/methods/" not in text or name in drawn
    assert "no trained weights come with fssbench" in generated()["methods/mlc.md"]
    assert "and do not come with fssbench" in generated()["methods/mlc.md"]
    assert "and do not come with fssbench" not in generated()["methods/hsnet.md"]


def test_the_numbers_of_the_first_pages_are_the_committed_ones() -> None:
    import pandas as pd

    known = pd.read_csv(REPOSITORY / "benchmarks" / "baselines" / "shapes20i.csv")
    start = pages()["start.md"]
    for method in ("prototype", "hsnet"):
        row = known.query(f"method == '{method}' and task == 'fss' and shots == 1 and fold == 0").iloc[0]
        (shown,) = {
            line
            for block in blocks(start, "")
            for line in block.splitlines()
            if f" {row.miou:.2f}  " in line and f" {row.fb_iou:.2f}  " in line
        }
        assert shown.split()[:3] == ["0", str(row.episodes), f"{row.miou:.2f}"]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="the extra docs is not installed")
def test_the_site_is_built_strictly(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        capture_output=True, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "methods" / "hsnet.html").exists()
