"""A data set by the folds of another: which classes, which lists, and what training has seen of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fssbench import episodes, open_dataset
from fssbench.datasets.catalogue import built_in, dataset_info
from fssbench.datasets.splits import stored as imported
from fssbench.datasets.transfer.view import TransferView, known_fold_count, same_scenes, transfer_view
from fssbench.episode import read_episodes, write_episodes
from fssbench.episode.verify import official, verify
from fssbench.errors import UsageError
from tests.datasets.trees import annotation, box, coco_tree, fss_tree, label_map, lung_tree, suim_part, voc_tree

BIG = (0, 0, 96, 96)
LABELS = {f"2008_0000{value:02d}": label_map((value, *BIG)) for value in range(1, 21)}
LABELS |= {f"2009_0000{value:02d}": label_map((value, *BIG)) for value in range(1, 21)}

PRINTED = [
    {"aeroplane", "boat", "chair", "diningtable", "dog", "person"},
    {"bicycle", "bus", "horse", "sofa"},
    {"bird", "car", "pottedplant", "sheep", "train", "tvmonitor"},
    {"bottle", "cat", "cow", "motorbike"},
]
"""The test classes of COCO-20i to PASCAL-5i (RePRI's README, figures/coco2pascal.png)."""


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return voc_tree(tmp_path, LABELS, list(LABELS))


def view(voc: Path, choice: str | None = None, train: str = "coco20i") -> TransferView:
    found = open_dataset("pascal5i", voc, train_dataset=train, test_classes=choice)
    assert isinstance(found, TransferView)
    return found


def names(dataset: TransferView, fold: int) -> set[str]:
    return {dataset.class_names[c] for c in dataset.fold_classes(fold)}


def test_each_fold_asks_what_its_training_has_not_seen(voc: Path) -> None:
    dataset = view(voc)
    assert [names(dataset, fold) for fold in range(4)] == PRINTED
    assert [dataset.leaking(fold, dataset.fold_classes(fold)) for fold in range(4)] == [()] * 4
    assert (dataset.name, dataset.trained_on, dataset.test_classes) == ("pascal5i", "coco20i", "unseen")


def test_repris_classes_are_offered_and_known_to_leak(voc: Path) -> None:
    dataset = view(voc, "repri-released")
    assert names(dataset, 2) == PRINTED[2] - {"car"} | {"cat"}
    assert names(dataset, 3) == PRINTED[3] - {"cat"} | {"car"}
    leaks = [dataset.leaking(fold, dataset.fold_classes(fold)) for fold in range(4)]
    assert leaks == [(), (), ("cat",), ("car",)]


def test_own_folds_and_all_classes(voc: Path) -> None:
    own = view(voc, "own")
    assert own.fold_classes(1) == (6, 7, 8, 9, 10)
    assert own.leaking(1, own.fold_classes(1)) == ("car", "cat", "chair", "cow")
    assert view(voc, "all").fold_classes(3) == tuple(range(1, 21))


def test_lists_are_the_data_sets_own_cut_to_the_classes(voc: Path) -> None:
    dataset, inner = view(voc), open_dataset("pascal5i", voc)
    entries = dataset.entries(1)
    assert entries["name"].tolist() == sorted(entries["name"]), "by name, as HSNet's val lists are"
    assert set(entries["class_id"]) == {2, 6, 13, 18}
    assert dataset.fingerprint == inner.fingerprint
    assert dataset.list_order == inner.list_order
    assert dataset.fold_classes(1, "train") == ()
    assert (dataset.label("2008_000002") == inner.label("2008_000002")).all()
    assert dataset.image_size("2008_000002") == dataset.image("2008_000002").shape[:2]


def test_folds_are_those_of_the_training(voc: Path, tmp_path: Path) -> None:
    lungs = open_dataset("chestxray", lung_tree(tmp_path, ["a", "b"]), train_dataset="coco20i")
    assert (lungs.fold_count, lungs.fold_classes(3, "test"), lungs.test_classes) == (4, (1,), "all")
    with pytest.raises(UsageError, match="coco20i has no fold 4"):
        lungs.fold_classes(4, "test")
    with pytest.raises(UsageError, match="pascal5i has no fold 4"):
        view(voc, "own").fold_classes(4)
    assert known_fold_count("pascal5i", "suim") == 1
    assert known_fold_count("suim", "pascal5i") == 4
    assert known_fold_count("suim", "pascal5i", "own") == 1


def test_classes_are_compared_by_name_where_there_is_no_table(tmp_path: Path) -> None:
    imported.store("fss1000", "test", {"classes": ["bus", "motorbike", "ocarina"]})
    root = fss_tree(tmp_path, ["bus", "motorbike", "ocarina"])
    fss = open_dataset("fss1000", root, train_dataset="coco20i")
    assert [fss.leaking(fold, fss.fold_classes(fold, "test")) for fold in range(4)] == [
        ("bus", "motorbike"), ("motorbike",), ("bus", "motorbike"), ("bus",)
    ]  # fmt: skip
    unseen = open_dataset("fss1000", root, train_dataset="coco20i", test_classes="unseen")
    assert [unseen.fold_classes(fold, "test") for fold in range(4)] == [(763,), (761, 763), (763,), (762, 763)]


def test_coco_by_the_folds_of_pascal(tmp_path: Path) -> None:
    root = coco_tree(tmp_path, {"val": ([1], [annotation(1, 1, 6, box(0, 0, 60, 60))])})
    coco = open_dataset("coco20i", root, train_dataset="pascal5i")
    assert len(coco.fold_classes(1)) == 65
    assert 6 in coco.fold_classes(1), "bus is novel in fold 1"
    assert coco.entries(1)["class_id"].tolist() == [6]
    assert coco.entries(0).empty


def test_what_training_sees_may_not_be_known(voc: Path) -> None:
    with pytest.raises(UsageError, match="training on fss1000 has seen are not known here") as refused:
        view(voc, train="fss1000")
    assert "--test-classes all" in str(refused.value.remedy)
    every = view(voc, "all", "fss1000")
    assert every.leaking(0, every.fold_classes(0)) is None
    imported.store("fss1000", "train", {"classes": ["potted_plant", "ant"]})
    assert len(view(voc, train="fss1000").fold_classes(0)) == 19


def test_the_same_scenes_have_the_same_folds() -> None:
    wet = open_dataset("shapes20i-underwater")
    assert transfer_view(wet, "shapes20i") is wet
    assert same_scenes("shapes20i", "shapes20i-underwater")
    with pytest.raises(UsageError, match="there is no other choice"):
        transfer_view(wet, "shapes20i", "all")
    with pytest.raises(UsageError, match="weights trained on another data set"):
        transfer_view(wet, wet.name, "all")


def test_a_training_whose_files_alone_say_its_folds_asks_the_data_sets_own(
    voc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(built_in(), "fss1000", replace(dataset_info("fss1000"), folds=0))
    found = view(voc, train="fss1000")
    assert (found.test_classes, found.fold_count, found.fold_classes(1)) == ("own", 4, (6, 7, 8, 9, 10))
    assert found.leaking(1, found.fold_classes(1)) is None
    assert known_fold_count("pascal5i", "fss1000") == 4
    with pytest.raises(UsageError, match="there are own"):
        view(voc, "all", "fss1000")


def test_what_is_refused(voc: Path) -> None:
    with pytest.raises(UsageError, match="has no test classes 'novel'; there are unseen, all, own, repri-released"):
        view(voc, "novel")
    with pytest.raises(UsageError, match="has no test classes 'repri-released'"):
        view(voc, "repri-released", "shapes20i")
    with pytest.raises(UsageError, match="unknown dataset 'coco'"):
        view(voc, train="coco")
    with pytest.raises(UsageError, match="weights trained on another data set"):
        open_dataset("pascal5i", voc, test_classes="all")
    with pytest.raises(UsageError, match=r"use open_dataset\(\.\.\., train_dataset=NAME\)"):
        TransferView.open(voc)


@pytest.mark.parametrize(("protocol", "way"), [("hsnet", 1), ("ifsl-fscs", 2), ("pfenet", 1), ("panet", 1)])
def test_any_protocol_of_the_data_set_can_ask(voc: Path, tmp_path: Path, protocol: str, way: int) -> None:
    if protocol == "panet":
        voc = voc_tree(tmp_path / "train", LABELS, [])
    drawn = episodes(view(voc), fold=2, way=way, shot=1, protocol=protocol, count=8)
    assert {c for one in drawn for c in one.classes} <= set(view(voc).fold_classes(2))
    assert (drawn.train_dataset, drawn.test_classes) == ("coco20i", "unseen")
    assert official(drawn) is None, "other classes than the release's"


def test_a_list_knows_whose_folds_it_asks(voc: Path, tmp_path: Path) -> None:
    drawn = episodes(view(voc), fold=3, shot=1, protocol="hsnet", count=6)
    again = read_episodes(write_episodes(drawn, tmp_path / "list.json"))
    assert again == drawn
    findings = verify(again, open_dataset("pascal5i", voc))
    assert {finding.state for finding in findings} == {"ok"}
    plainly = episodes(open_dataset("pascal5i", voc), fold=3, shot=1, protocol="hsnet", count=6)
    assert "train_dataset" not in write_episodes(plainly, tmp_path / "plain.json").read_text()


def test_suim_from_both_sources_asks_the_same(tmp_path: Path) -> None:
    part = suim_part(
        tmp_path / "SUIM" / "TEST", {f"a{n}": label_map((n, 0, 0, 9, 9), size=(20, 20)) for n in range(1, 8)}
    )
    suim_part(part, {f"b{n}": label_map((n, 0, 0, 9, 9), size=(20, 20)) for n in range(1, 8)})
    lists = [
        episodes(open_dataset("suim", part.parent, train_dataset=train), fold=2, shot=1, protocol="suim", count=14)
        for train in ("coco20i", "pascal5i")
    ]
    assert lists[0].hash == lists[1].hash
    assert [one.classes[0] for one in lists[0]] == [1, 2, 3, 4, 5, 6, 7] * 2
