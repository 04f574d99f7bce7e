"""The file of one checkpoint among those of a folder: by its name, or not at all."""

from __future__ import annotations

import pytest

from fssbench.checkpoints import Record, record, records
from fssbench.checkpoints.choosing import choose
from fssbench.errors import MissingError

HSNET = [
    f"{data}_{net}_fold{fold}/best_model.pt"
    for data in ("pascal", "coco")
    for net in ("vgg", "res50", "res101")
    for fold in range(4)
]


def chosen(identifier: str, names: list[str], **changed: object) -> str:
    entry = record(identifier).model_copy(update=changed)
    neighbours = [one for one in records() if one.url == entry.url and one.id != entry.id]
    return choose(entry, names, [*neighbours, entry], "open it in a browser")


@pytest.mark.parametrize(
    ("identifier", "names", "expected"),
    [
        ("hsnet-resnet50-pascal5i-fold2", HSNET, "pascal_res50_fold2/best_model.pt"),
        ("hsnet-resnet101-pascal5i-fold0", HSNET, "pascal_res101_fold0/best_model.pt"),
        ("hsnet-vgg16-pascal5i-fold3", HSNET, "pascal_vgg_fold3/best_model.pt"),
        ("asgnet-resnet50-pascal5i-fold1", ["split0/final.pth", "split1/final.pth", "split1/train_epoch_9_0.6.pth"],
         "split1/train_epoch_9_0.6.pth"),
        ("mmnet-resnet50-pascal5i-fold0-1shot", ["s0.pth", "s1.pth", "s2.pth", "readme.txt"], "s0.pth"),
        ("pfenet-vgg16-coco20i-fold1", ["a/coco/vgg16_split1.pth", "a/pascal/resnet50_split1.pth"],
         "a/coco/vgg16_split1.pth"),
        ("scl-pfenet-resnet50-pascal5i-fold1", ["pascal/split1.pth", "coco/split1.pth"], "pascal/split1.pth"),
    ],
)  # fmt: skip
def test_a_file_is_chosen_by_all_in_which_its_place_differs(identifier: str, names: list[str], expected: str) -> None:
    assert chosen(identifier, names) == expected


@pytest.mark.parametrize(
    ("identifier", "names", "message"),
    [
        ("hsnet-resnet50-pascal5i-fold0", ["a/best_model.pt", "b/best_model.pt"], "the fold and the backbone: a/"),
        ("hsnet-resnet50-pascal5i-fold0", ["res50/best_model.pt"], "do not state the fold: res50"),
        ("hsnet-resnet50-pascal5i-fold0", ["res50_fold0/other.pt"], "is called best_model.pt: res50_fold0/other.pt"),
        ("hsnet-resnet50-pascal5i-fold0", ["res50_fold1/best_model.pt", "vgg_fold0/best_model.pt"], "is called"),
        ("hsnet-resnet50-pascal5i-fold0", ["res50_fold0_fold1/best_model.pt"], "do not state the fold: res50_fold0_f"),
        ("hsnet-resnet50-pascal5i-fold0", ["a/res50_fold0/best_model.pt", "b/res50_fold0/best_model.pt"],
         "2 files there fit: a/res50_fold0/best_model.pt, b/"),
        ("scl-pfenet-resnet50-pascal5i-fold1", ["split1.pth"], "do not state the backbone and the data set"),
        ("mmnet-resnet50-pascal5i-fold0-1shot", [], "none of the 0 files there fits: nothing"),
    ],
)  # fmt: skip
def test_what_does_not_tell_is_not_guessed(identifier: str, names: list[str], message: str) -> None:
    with pytest.raises(MissingError, match=message) as caught:
        chosen(identifier, names)
    assert caught.value.remedy == "open it in a browser"


def test_a_name_of_its_own_is_enough() -> None:
    own = {"filename": "final_50.pth"}
    assert chosen("hsnet-resnet50-pascal5i-fold0", ["x/final_50.pth", "y.pt"], **own) == "x/final_50.pth"


def test_names_of_releases_are_patterns_of_files() -> None:
    assert record("asnet-resnet50-coco20i-fold0").file_pattern == "best_model*.ckpt"
    assert record("dinov2-vits14").file_pattern == ""
    named = [entry for entry in records() if entry.file_pattern]
    assert len(named) == 270
    assert all(entry.filename_source for entry in named)
    for wrong in ("../a.pt", "/a.pt", "a//b.pt", ".a"):
        with pytest.raises(ValueError, match="pattern"):
            Record(id="x", kind="backbone", backbone="x", url="https://x", filename=wrong)
