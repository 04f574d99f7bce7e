"""A method that is named by its code: `--method ./my.py:MyNet`, a class or a function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.errors import FSSBenchError, MissingError, UsageError
from fssbench.methods.base.method import Method, Prediction
from fssbench.methods.catalogue import method_info
from fssbench.methods.own.method import as_prediction
from fssbench.results import load_run

CODE = '''
"""Methods to try."""
import torch
import torch.nn.functional as F
from torch import nn


class MyNet(nn.Module):
    """Prototypes of a small network."""

    def __init__(self, width=8):
        super().__init__()
        self.net = nn.Conv2d(3, width, 7, 8, 3)

    def encode(self, image):
        return self.net(image)

    def condition(self, features, mask):
        inside = F.interpolate((mask == 1).float()[:, None], features.shape[-2:], mode="area")
        return [(features * part).sum((2, 3)) / part.sum((2, 3)).clamp(min=1e-6) for part in (1 - inside, inside)]

    def predict(self, query, supports, size):
        ground = torch.stack([shot[0] for shots in supports for shot in shots]).mean(0)
        classes = [torch.stack([shot[1] for shot in shots]).mean(0) for shots in supports]
        return torch.cat([F.cosine_similarity(query, one[..., None, None]) for one in (ground, *classes)])


class Trained(MyNet):
    def losses(self, batch):
        support = self.condition(self.encode(batch.supports[:, 0, 0]), batch.support_masks[:, 0, 0])
        query = self.encode(batch.query)
        logits = torch.stack([F.cosine_similarity(query, one[..., None, None]) for one in support], 1)
        logits = F.interpolate(logits, batch.query_masks.shape[-2:], mode="bilinear")
        return {"segmentation": F.cross_entropy(logits, batch.query_masks[:, 0].long(), ignore_index=255)}


class OnBackbone(nn.Module):
    def __init__(self, backbone, way, shot):
        super().__init__()
        self.called = (backbone, way, shot)
        self.scale = nn.Parameter(torch.ones(1))

    def encode(self, image):
        return image

    def condition(self, features, mask):
        return mask

    def predict(self, query, supports, size):
        return torch.ones(size, dtype=torch.int64)


class Plain:
    """No network at all."""

    task = "fss"

    def encode(self, image):
        return image

    def condition(self, features, mask):
        return mask

    def predict(self, query, supports, size):
        return (supports[0][0][0] == 1).long()


class Reader(Plain):
    """Finds what is called a key, and nothing else."""

    reads_class_names = True

    def with_names(self, support, names):
        return (support, names)

    def predict(self, query, supports, size):
        mask, (name,) = supports[0][0]
        return (mask[0] == 1).long() * (name == "key")


class Broken(MyNet):
    def predict(self, query, supports, size):
        raise ValueError("the shapes\\ndo not fit")


class Half:
    def encode(self, image):
        return image


def copy_mask(query, support_images, support_masks):
    """The first support mask."""
    return (support_masks[:, 0] == 1).long().argmax(0) + (support_masks[:, 0] == 1).any(0)


number = 3
'''
EVAL = ["eval", "--dataset", "shapes20i", "--fold", "0", "--limit", "3", "--quiet"]


@pytest.fixture
def file(elsewhere: None) -> Path:
    path = Path("my.py")
    path.write_text(CODE)
    return path


def built(name: str, **arguments: Any) -> Method[Any, Any]:
    return fssbench.build(f"./my.py:{name}", **arguments)


@pytest.mark.usefixtures("file")
def test_a_class_is_a_method() -> None:
    method = built("MyNet", variant="fscs", way=2, shot=3)
    assert isinstance(method, Method)
    assert (method.task, method.way, method.shot) == ("fscs", 2, 3)
    images = torch.rand(2, 3, 3, 64, 48)
    answer = method.segment(torch.rand(3, 64, 48), images, torch.ones(2, 3, 64, 48), size=(50, 40))
    assert answer.logits.shape == (3, 50, 40)
    assert answer.labels.dtype == torch.uint8
    info = method_info("./my.py:MyNet")
    assert (info.name, info.title) == ("my.py:MyNet", "Prototypes of a small network.")
    assert info.needs_weights
    assert not info.trainable
    assert method_info("./my.py:Trained").trainable
    assert not method_info("my.py:copy_mask").needs_weights
    assert not method_info("my.py:Plain").needs_weights


@pytest.mark.usefixtures("file")
def test_a_backbone_is_passed_to_a_class_that_takes_one() -> None:
    method: Any = built("OnBackbone", backbone="resnet50", way=1, shot=5)
    assert method.called == ("resnet50", 1, 5)
    assert method_info("./my.py:OnBackbone").backbones[0] == "resnet50"


def test_a_file_that_was_changed_is_loaded_anew(file: Path) -> None:
    assert built("Plain").way == 1
    file.write_text(CODE.replace("self.net = nn.Conv2d(3, width, 7, 8, 3)", "self.net = nn.Conv2d(3, 5, 7, 8, 3)"))
    assert built("MyNet").learnable_parameters == 5 * (3 * 49 + 1)


def test_a_run_says_whose_code_predicted(fssbench: Any, file: Path) -> None:
    code, out, _ = fssbench(*EVAL, "--method", "./my.py:MyNet", "--random-weights", "--out", "run")
    assert code == 0
    assert "my.py:MyNet is not a registered method: code of my.py, sha256 " in out
    record = json.loads(Path("run/run.json").read_text())["method"]
    assert record["name"] == "my.py:MyNet"
    assert record["code"]["path"] == "my.py"
    file.write_text(CODE + "# changed\n")
    more = [*EVAL[:-2], "4", "--quiet", "--method", "./my.py:MyNet", "--random-weights", "--out", "run", "--resume"]
    code, _, err = fssbench(*more)
    assert code == 2
    assert "its method.code.sha256 is" in err
    assert len(load_run("run").frame) == 3


def test_a_file_that_changes_while_the_command_begins_is_refused(
    fssbench: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fssbench.engine import runner
    from fssbench.methods import building
    from fssbench.training import run

    build = building.build

    def late(*given: Any, **more: Any) -> Any:
        file.write_text(file.read_text() + "# changed\n")
        return build(*given, **more)

    monkeypatch.setattr(runner, "build", late)
    monkeypatch.setattr(run, "build", late)
    code, _, err = fssbench(*EVAL, "--method", "my.py:copy_mask", "--out", "run")
    assert (code, "my.py, or a file that it imports, was changed while the command began" in err) == (2, True)
    assert not Path("run").exists()
    code, _, err = fssbench("train", "--method", "my.py:Trained", *EVAL[1:5], "--steps", "1", "--out", "trained")
    assert (code, "my.py, or a file that it imports, was changed while the command began" in err) == (2, True)


@pytest.mark.usefixtures("file")
def test_a_method_of_another_task_than_the_protocol_is_told_of(fssbench: Any) -> None:
    asked = ["--method", "my.py:copy_mask", "--variant", "fscs", "--protocol", "shapes", "--out", "run"]
    code, out, err = fssbench(*EVAL, *asked)
    assert code == 0, err
    words = "the tasks differ: my.py:copy_mask predicts for fscs (variant fscs), protocol shapes is of the task fss"
    assert words in out
    assert words in json.loads(Path("run/summary.json").read_text())["notes"][0]
    shown = ["--source", "measured", "--dataset", "shapes20i", "--layout", "fscs", "--runs", "run"]
    code, out, err = fssbench("table", *shown)
    assert code == 0, err
    assert (code, "protocol shapes is of the task fss" in " ".join(out.split())) == (0, True)


def test_a_training_says_by_whose_recipe(fssbench: Any, file: Path) -> None:
    asked = ["train", "--method", "./my.py:Trained", *EVAL[1:5], "--steps", "1", "--batch", "2", "--out", "trained"]
    code, _, err = fssbench(*asked)
    assert code == 0, err
    assert "Trained has no recipe of its own and is trained by that of hsnet/shapes20i: 1 steps of 2 episodes" in err
    assert '--config FILE with a table ["Trained/shapes20i"]' in err
    file.write_text(CODE + "# changed\n")
    code, _, err = fssbench(*asked, "--resume")
    assert code == 2
    assert "is the state of another training, which differs in code of the method" in err


@pytest.mark.usefixtures("file")
def test_a_function_and_a_class_without_a_network(fssbench: Any) -> None:
    for name in ("copy_mask", "Plain"):
        code, out, err = fssbench(*EVAL, "--method", f"my.py:{name}", "--out", name)
        assert (code, "random weights" in out) == (0, False), err
    code, _, _ = fssbench(*EVAL, "--method", "copy-mask", "--out", "floor")
    assert code == 0
    one, two = (load_run(name).frame["intersection"].tolist() for name in ("copy_mask", "Plain"))
    assert one == two
    code, _, _ = fssbench(*EVAL, "--method", "my.py:copy_mask", "--task", "fs-cs", "--ways", "2", "--out", "joint")
    assert code == 0


@pytest.mark.usefixtures("file")
def test_a_class_that_reads_names_is_given_them(fssbench: Any) -> None:
    for name in ("Plain", "Reader"):
        code, _, err = fssbench(*EVAL, "--fold", "1", "--limit", "30", "--method", f"my.py:{name}", "--out", name)
        assert code == 0, err
    plain, reader = (load_run(name).frame for name in ("Plain", "Reader"))
    keys = reader["class_names"].map(lambda names: "key" in names)
    assert 0 < keys.sum() < len(keys)
    found = [frame["intersection"].map(lambda counts: counts[1]) for frame in (plain, reader)]
    assert found[1][keys].tolist() == found[0][keys].tolist()
    assert not found[1][~keys].any()
    assert found[0][~keys].any()


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_its_checkpoint_is_loaded(fssbench: Any, prefix: str) -> None:
    torch.manual_seed(5)
    state = built("MyNet").state_dict()
    torch.save({prefix + key: value for key, value in state.items()}, "weights.pt")
    code, _, err = fssbench(*EVAL, "--method", "./my.py:MyNet", "--checkpoint", "weights.pt", "--out", "run")
    assert code == 0, err
    assert load_run("run").run.folds[0].weights.kind == "checkpoint"


@pytest.mark.usefixtures("file")
def test_it_is_trained_and_the_weights_answer(fssbench: Any) -> None:
    asked = ["--method", "./my.py:Trained", "--dataset", "shapes20i", "--fold", "0", "--steps", "1", "--batch", "2"]
    Path("recipes.toml").write_text(
        '["Trained/shapes20i"]\nbackbone = "small"\nsteps = 1\nbatch = 2\nlearning_rate = 1e-3\n'
    )
    code, _, err = fssbench("train", *asked, "--out", "trained")
    assert code == 0, err
    code, _, err = fssbench(
        *EVAL, "--method", "./my.py:Trained", "--checkpoint", "trained/weights.safetensors", "--out", "run"
    )
    assert code == 0, err
    code, _, err = fssbench("train", *asked[:1], "./my.py:MyNet", *asked[2:], "--out", "other")
    assert code == 2
    assert "my.py:MyNet has nothing to train: it has no losses" in err


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("./my.py:MyNets", UsageError, "has no 'MyNets'; it has MyNet, Trained, OnBackbone"),
        ("./other.py:MyNet", MissingError, "there is no file other.py"),
        ("no_such_module:MyNet", MissingError, "there is no module no_such_module"),
        ("./my.py:Half", UsageError, "it has no condition and no predict"),
        ("./my.py:number", UsageError, "neither a class nor a function"),
        ("./my.py:My-Net", UsageError, "is not a valid name of a class or function"),
        ("./broken.py:MyNet", UsageError, r"broken\.py, line 2, in <module>: ZeroDivisionError"),
        ("./syntax.py:MyNet", UsageError, "SyntaxError"),
    ],
)
def test_mistakes_are_sentences(name: str, error: type[FSSBenchError], words: str) -> None:
    Path("broken.py").write_text("x = 1\nx / 0\n")
    Path("syntax.py").write_text("def f(:\n")
    with pytest.raises(error, match=words) as refused:
        fssbench.build(name)
    assert refused.value.remedy


@pytest.mark.usefixtures("file")
def test_without_weights_nothing_is_scored(fssbench: Any) -> None:
    code, _, err = fssbench(*EVAL, "--method", "./my.py:MyNet", "--out", "run")
    assert code == 2
    assert "my.py:MyNet needs weights, and none were named" in err
    assert not Path("run").exists()


@pytest.mark.usefixtures("file")
def test_an_error_in_it_names_its_line(fssbench: Any) -> None:
    code, _, err = fssbench(*EVAL, "--method", "./my.py:Broken", "--random-weights", "--out", "run")
    assert code == 2
    assert "in predict: ValueError: the shapes do not fit" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("labels", "returned str"),
        (torch.zeros(3, 8, 8), "returned a tensor torch.float32 of shape"),
        (torch.zeros(8, 8), "returned a tensor torch.float32"),
        (torch.full((2, 8, 8), torch.nan), "not finite"),
        (torch.full((8, 8), 2), "labels from 2 to 2"),
        (torch.full((8, 8), -1), "labels from -1 to -1"),
        (Prediction(torch.zeros(2, 4, 4), torch.zeros(8, 8), torch.ones(1)), "predict returned logits"),
    ],
)
def test_what_is_no_prediction_is_refused(found: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        as_prediction(found, 1, (8, 8), "my.py:f")


def test_logits_and_labels_are_brought_to_size() -> None:
    logits = torch.zeros(2, 4, 4)
    logits[1, :, 2:] = 1.0
    labels: Tensor = (logits[1] > 0).long()
    for found in (logits, labels):
        answer = as_prediction(found, 1, (8, 8), "my.py:f")
        assert answer.labels[:, :3].max() == 0
        assert answer.labels[:, 5:].min() == 1
        assert answer.present.tolist() == [True]


@pytest.mark.usefixtures("elsewhere")
def test_files_of_one_name_are_two_methods(fssbench: Any) -> None:
    for folder, label in (("a", 0), ("b", 1)):
        Path(folder).mkdir()
        Path(folder, "my.py").write_text(f"def f(query, images, masks):\n    return masks[0, 0].long() * 0 + {label}\n")
    above = str(Path("a", "my.py").resolve())
    code, _, err = fssbench(*EVAL, "--method", f"{above}:f,b/my.py:f", "--out", "runs")
    assert code == 0, err
    folders = sorted(path.parent for path in Path("runs").glob("*/run.json"))
    assert len(folders) == 2, "each in a folder of its own, below --out"
    covered = {load_run(folder).frame["intersection"].map(lambda pixels: pixels[1]).sum() > 0 for folder in folders}
    assert covered == {True, False}


PLAIN = """
class Plain:
    task = "fss"

    def encode(self, image):
        return image

    def condition(self, features, mask):
        return mask

    def predict(self, query, supports, size):
        return (supports[0][0][0] == LABEL).long()
"""


@pytest.mark.usefixtures("elsewhere")
def test_files_beside_it_are_imported_and_on_record(fssbench: Any) -> None:
    Path("labels.py").write_text("from deeper.one import LABEL\n")
    Path("deeper").mkdir()
    Path("deeper/one.py").write_text("LABEL = 1\n")
    Path("my.py").write_text("from labels import *\n" + PLAIN)
    asked = [*EVAL, "--method", "my.py:Plain", "--out", "run"]
    code, _, err = fssbench(*asked)
    assert code == 0, err
    kept = json.loads(Path("run/run.json").read_text())["method"]["code"]["imports"]
    assert list(kept) == ["deeper/one.py", "labels.py"]
    Path("deeper/one.py").write_text("LABEL = 0\n")
    code, _, err = fssbench(*asked, "--resume")
    assert code == 2
    assert "a file that the method imports was changed since" in err


@pytest.mark.usefixtures("elsewhere")
def test_a_file_beside_another_method_is_not_taken_for_its_own(fssbench: Any) -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "beside_both.py").write_text("LABEL = 1\n")
        Path(folder, "my.py").write_text("from beside_both import LABEL\n" + PLAIN)
    code, _, err = fssbench(*EVAL, "--method", "a/my.py:Plain,b/my.py:Plain", "--out", "runs")
    assert code == 2
    assert "b/my.py imports beside_both, and of that name" in err
    assert not Path("runs").exists()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("line", "name", "words"),
    [
        ("import sys; sys.exit(0)", "my.py:Plain", "SystemExit: 0"),
        ("import os; os.chdir('/')", "my.py:Plain", "changes the folder that the command is in"),
        ("from .labels import LABEL", "my.py:Plain", "import a file next to it without the dot"),
        ("class Needs(Plain):\n    def __init__(self, width): ...", "my.py:Needs", "others need a default"),
        (
            "class Exits(Plain):\n    def encode(self, image):\n        raise SystemExit(0)",
            "my.py:Exits",
            "in encode: SystemExit: 0",
        ),
        ("", "my.py", "is a file, and no class or function of it is named"),
        ("", ":Plain", "names no file and no module"),
    ],
)
def test_what_a_file_does_to_the_command_is_told(fssbench: Any, line: str, name: str, words: str) -> None:
    before = Path.cwd()
    Path("my.py").write_text("LABEL = 1\n" + PLAIN + "\n" + line + "\n")
    code, _, err = fssbench(*EVAL, "--method", name, "--out", "run")
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    assert Path.cwd() == before


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("1 / 0", "in losses: ZeroDivisionError"),
        ("torch.zeros(())", "losses returned Tensor, not losses by name"),
        ('{"a": torch.zeros(())}', "no loss depends on a parameter"),
    ],
)
def test_losses_that_teach_nothing_are_refused(fssbench: Any, returned: str, words: str) -> None:
    lines = f"\n\nclass Wrong(MyNet):\n    def losses(self, batch):\n        return {returned}\n"
    Path("my.py").write_text(CODE + lines)
    code, _, err = fssbench(
        "train", "--method", "my.py:Wrong", *EVAL[1:5], "--steps", "1", "--batch", "1", "--out", "t"
    )
    assert code == 2
    assert words in err
    assert "Traceback" not in err
