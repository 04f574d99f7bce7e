"""The stage of each page, and of the examples of each command."""

from __future__ import annotations

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
    own_data,
    own_method,
    part_of_voc,
    photos,
    predictions,
    shards,
    training,
    whole_fold,
)

FEW_QUERIES = (2, "too little is known of the spread")
"""A run of two episodes has no spread from which a plan could be made."""

ELSEWHERE = {
    "data.md": "tests/cli/test_data_docs.py, with a local host",
    "own-method.md": "tests/cli/test_own_method_docs.py",
    "../benchmarks/baselines/README.md": "trains for hours; its commands are parsed",
}
"""Pages whose commands have a test of their own, and where."""

STAGES = {
    "../README.md": Stage(),
    "backbones.md": Stage(
        before=(hub_model,),
        instead={
            "#4,8,12": "#1,2,4",
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
    ),
    "own-protocol.md": Stage(),
    "predictions.md": Stage(between={"python predict.py": predictions}),
    "printed.md": Stage(),
    "protocols/compared.md": Stage(),
    "reading.md": Stage(),
    "references.md": Stage(
        lines={
            "--references 20": (
                "fssbench eval --method hsnet,panet --dataset shapes20i --fold 0 --episodes 2 --references 2 "
                "--out runs/references",
            ),
            "--absent 0.25": (
                "fssbench eval --method hsnet,panet,nothing,all-foreground --dataset shapes20i --fold 0 --episodes 4 "
                "--absent 0.25 --out runs/absent",
            ),
        },
    ),
    "reports.md": Stage(),
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
    "start.md": Stage(before=(whole_fold,), instead={"baseline runs/hsnet": "baseline runs/first"}),
    "statistics.md": Stage(
        before=(evaluated("hsnet", "asnet"),),
        lines={"--runs 5": ("fssbench eval --method hsnet --dataset shapes20i --fold 0 --runs 5 --episodes 2",)},
        ends={"fssbench plan": FEW_QUERIES, "--until": (2, "there is nothing to save")},
    ),
    "tables.md": Stage(before=(own_method, evaluated("nothing runs/a", "all-foreground runs/b"))),
    "training-free.md": Stage(ends={"checkpoints fetch": (2, "try:")}),
    "training.md": Stage(),
}

REFERENCE = {
    "absent": Stage(before=(made_lists,)),
    "bench": Stage(
        lines={
            "hsnet,asnet,prototype": ("fssbench bench --method nothing --episodes 1",),
            "bfloat16": ("fssbench bench --method nothing --shots 1,5 --episodes 1 --out bench.csv",),
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
        before=(own_data, part_of_voc),
        instead={"photos/annotated": "own-data --overwrite", "DIR/VOC2012": "data/VOC2012", "DIR": "data"},
        ends={
            "data check pascal5i": (2, "was not found"),
            "import-splits": (2, "try:"),
            "--sbd benchmark_RELEASE": (2, "benchmark_RELEASE"),
        },
    ),
    "demo": Stage(),
    "doctor": Stage(),
    "episodes": Stage(),
    "eval": Stage(),
    "launch": Stage(instead={" --local": "", " --slurm": ""}),
    "list": Stage(),
    "merge": Stage(before=(shards,)),
    "new": Stage(),
    "plan": Stage(before=(evaluated("hsnet", "asnet"),), ends={"fssbench plan": FEW_QUERIES}),
    "plot": Stage(before=(evaluated("hsnet", "asnet"), training), instead={"--column validation": "--column loss"}),
    "published": Stage(),
    "references": Stage(before=(made_lists,)),
    "report": Stage(before=(evaluated("hsnet", "asnet"),)),
    "score": Stage(
        before=(lists, predictions),
        instead={
            "--predictions maps": "--predictions predictions",
            "--dataset pascal5i --root DIR": "--dataset shapes20i",
        },
    ),
    "segment": Stage(before=(photos,)),
    "show": Stage(before=(evaluated("hsnet", "asnet"),)),
    "table": Stage(before=(evaluated("nothing"),)),
    "train": Stage(),
    "validate": Stage(
        before=(lambda command: own_method(command, "Mynet"),), instead={"hsnet --backbone resnet50": "all-foreground"}
    ),
}
