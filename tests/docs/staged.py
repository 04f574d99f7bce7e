"""The stage of each page, and of the examples of each command."""

from __future__ import annotations

from importlib.util import find_spec

from tests.docs.stages import (
    MISSES,
    NO_NETWORK,
    Stage,
    as_printed,
    evaluated,
    for_training,
    hub_model,
    lists,
    made_lists,
    more_own_data,
    own_data,
    own_method,
    part_of_voc,
    photos,
    predictions,
    printed_numbers,
    shards,
    training,
    whole_fold,
)

ELSEWHERE = {
    "data.md": "tests/cli/test_data_docs.py, with a local host",
    "own-method.md": "tests/cli/test_own_method_docs.py",
    "../benchmarks/baselines/README.md": "trains for hours; its commands are parsed",
}
"""Pages whose commands have a test of their own, and where."""

TRACKED = {
    f"--track {','.join(names)}": (2, f"pip install 'fssbench[{missing}]'")
    for names in (("mlflow", "wandb"), ("mlflow",))
    if (missing := next((one for one in names if find_spec(one) is None), None)) is not None
}
"""The trackers are no part of the tested versions, so most machines are without them."""

FEW_QUERIES = (2, "too little is known of the spread")
"""A run of two episodes has no spread from which a plan could be made."""

STAGES = {
    "backbones.md": Stage(
        before=(hub_model,),
        instead={
            "#4,8,12": "#1,2,4",
            "--backbone resnet50,hf:facebook/dinov2-small,": "--backbone ",
            "hf:facebook/dinov2-small": "hf:./my-model",
            "hf:facebook/dinov2-base": "hf:./my-model",
        },
    ),
    "continuous-integration.md": Stage(before=(whole_fold, as_printed), ends=MISSES),
    "cross-domain.md": Stage(
        instead={"--dataset suim --shots 1": "--dataset suim --shots 1 --out runs/suim"},
        between={"fssbench score": predictions},
    ),
    "own-data.md": Stage(
        before=(own_data,),
        instead={
            "--backbone resnet50 --train-dataset pascal5i": "--train-dataset shapes20i",
            "--checkpoint pascal_res50_fold0.pt": "",
        },
        between={"fssbench train --backbone small": for_training},
        ends={
            "data init": (0, "masks are one PNG per class and photo; the classes are the 3 folders there"),
            "data check": (0, "fold 0: cat       7    ok  up to 6-shot"),
        },
    ),
    "printed.md": Stage(before=(printed_numbers,)),
    "references.md": Stage(
        instead={
            "--episodes 25 --references 20": "--fold 0 --episodes 3 --references 2",
            "--absent 0.25": "--fold 0 --episodes 4 --absent 0.25",
        }
    ),
    "predictions.md": Stage(instead={"--fold all": "--fold all --count 4"}, between={"python predict.py": predictions}),
    "reproduce.md": Stage(
        before=(evaluated("nothing runs/first"),),
        instead={"--out runs/hsnet-pascal": "--out runs/ours", "--root DIR": "--root data/VOC2012", "DIR": "data"},
        between={"data check": part_of_voc, "table --compare": as_printed},
        ends={
            "data check": (2, "has no folder SegmentationClassAug"),
            "import-splits": (2, "hsnet/data/splits/coco"),
            "checkpoints fetch": NO_NETWORK,
            "checkpoints add": (2, "best_model.pt"),
            **MISSES,
        },
    ),
    "scale.md": Stage(
        lines={
            "--shard 3/16": tuple(
                f"fssbench eval --method nothing --dataset shapes20i --limit 2 --out runs/coco --shard {n}/2"
                for n in (1, 2)
            ),
            "fssbench bench": ("fssbench bench --method nothing --episodes 1",),
        }
    ),
    "segment.md": Stage(before=(photos,)),
    "site.md": Stage(before=(evaluated("nothing"),)),
    "tracking.md": Stage(ends=TRACKED),
    "start.md": Stage(before=(whole_fold,), instead={"baseline runs/hsnet": "baseline runs/first"}),
    "statistics.md": Stage(
        before=(evaluated("hsnet", "asnet"),),
        lines={"--runs 5": ("fssbench eval --method hsnet --dataset shapes20i --fold 0 --runs 5 --episodes 2",)},
        ends={"fssbench plan": FEW_QUERIES, "--until": (2, "there is nothing to save")},
    ),
    "tables.md": Stage(before=(own_method, evaluated("nothing runs/a", "all-foreground runs/b"))),
    "training-free.md": Stage(ends={"checkpoints fetch": (2, "try:")}),
}

_OF_COMMANDS = {
    "absent": Stage(before=(made_lists,)),
    "published": Stage(before=(printed_numbers,), instead={"~/papers/mynet/table-2.csv": "another.csv"}),
    "references": Stage(before=(made_lists,)),
    "bench": Stage(
        lines={
            "hsnet,asnet,prototype": ("fssbench bench --method nothing --episodes 1",),
            "bfloat16": ("fssbench bench --method nothing --shots 1 --episodes 1 --out bench.csv",),
        }
    ),
    "bench-backbones": Stage(instead={"--fold 0": "--fold 0 --out runs/one"}),
    "check": Stage(
        before=(whole_fold, as_printed, evaluated("nothing runs/mine")),
        instead={"check runs --against": "check runs/first --against"},
        ends=MISSES,
    ),
    "checkpoints": Stage(
        ends={
            "checkpoints fetch": NO_NETWORK,
            "checkpoints add": (2, "try:"),
            "best_model.ckpt": (2, "best_model.ckpt"),
        }
    ),
    "compare": Stage(
        before=(
            evaluated("nothing runs/first", "copy-mask runs/second"),
            evaluated("nothing runs/reference", "copy-mask runs/a", "all-foreground runs/b"),
        )
    ),
    "data": Stage(
        before=(own_data, more_own_data, part_of_voc),
        instead={"DIR/VOC2012": "data/VOC2012", "DIR": "data"},
        lines={
            "data check folder": ("fssbench data init folder --root begun", "fssbench data check folder --root begun"),
        },
        ends={
            "data check pascal5i": (2, "was not found"),
            "import-splits": (2, "try:"),
            "data build": (2, "try:"),
        },
    ),
    "explain": Stage(
        before=(evaluated("nothing runs/first", "copy-mask runs/second"),),
        ends={"--published": (2, "data set pascal5i, not shapes20i")},
    ),
    "launch": Stage(instead={" --local": "", " --slurm": ""}),
    "merge": Stage(before=(shards,), instead={"--out runs/coco": "--out runs/whole"}),
    "plan": Stage(before=(evaluated("hsnet", "asnet"),), ends={"fssbench plan": FEW_QUERIES}),
    "plot": Stage(before=(evaluated("hsnet", "asnet"), training), instead={"--column validation": "--column loss"}),
    "report": Stage(before=(evaluated("hsnet", "asnet"),)),
    "score": Stage(
        before=(lists, predictions),
        instead={
            "--predictions maps": "--predictions predictions",
            "--dataset pascal5i --root DIR": "--dataset shapes20i",
        },
    ),
    "segment": Stage(before=(photos,), instead={"--overlay": "--overlay --overwrite"}),
    "show": Stage(before=(evaluated("hsnet", "asnet"),)),
    "site": Stage(before=(evaluated("nothing"),)),
    "table": Stage(before=(evaluated("nothing"),)),
    "validate": Stage(
        before=(lambda command: own_method(command, "Mynet"),), instead={"hsnet --backbone resnet50": "all-foreground"}
    ),
}

STAGES |= {f"reference/commands/{name}.md": stage for name, stage in _OF_COMMANDS.items()}
