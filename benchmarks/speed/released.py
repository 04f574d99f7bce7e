"""Episodes per second beside the released code: the same weights, episodes and machine, in one run.

    python benchmarks/speed/released.py --method hsnet --shots 1 --releases DIR --root DIR/VOC2012

This project predicts the fold's official list, or its first --answer episodes in the order of work. In evenly spaced
breaks the release predicts a sample of them, twice, an episode in each break: what else the machine does slows both
alike. released_before is the release's mean in the first round, released_after in the second. Predictions of the
sample are compared by pixels.
DIR holds the clones that releases.py names; standin.py makes a VOC2012.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import torch
import torch.nn.functional as F
from measured import BACKBONES, PROTOCOLS, keep, questions
from releases import Answer, released

import fssbench
from fssbench.datasets.dataset import Dataset
from fssbench.engine.features.cache import CacheCounts
from fssbench.engine.features.jobs import FoldJob
from fssbench.engine.loop import evaluate_jobs
from fssbench.engine.profiling.memory import peak_memory
from fssbench.engine.profiling.profile import Line, Profile, make_profile
from fssbench.engine.profiling.timers import COMPUTING, StageTimers
from fssbench.fast.form import fast_form
from fssbench.methods.catalogue import method_info
from fssbench.planning.settings import Settings, parse_bytes
from fssbench.protocols.label_maps import ignored_pixels, support_mask
from fssbench.protocols.rules import Protocol
from fssbench.protocols.transforms import input_image, scored_shape
from fssbench.results.environment import environment

CALIBRATED = {"hsnet": "hpn_learner.decoder2.2.bias", "asnet": "learner.decoder2.2.bias", "pfenet": "cls.3.bias",
              "ntrenet": "cls.3.bias", "bam": "cls_meta.3.bias", "rpmm": "layer9.bias",
              "cyctr": "cls.3.bias", "patnet": "hpn_learner.decoder2.2.bias", "sccan": "cls_meta.3.bias",
              "hdmnet": "transformer.mix_transformer.cls.4.bias", "dcama": "model.mixer3.2.bias",
              "vat": "hpn_learner.ours.decoder.2.bias", "mianet": "cls.3.bias"}  # fmt: skip


COUNTED = 40
"""Episodes whose operations are counted."""


class Release:
    """The released code, asked as its own loop does it: read, resize, answer, bring to the size that is counted."""

    def __init__(self, answer: Answer, dataset: Dataset, rules: Protocol) -> None:
        self.answer, self.dataset, self.rules = answer, dataset, rules
        self.corners = rules.name != "rpmm"

    def raw(self, episode: fssbench.Episode) -> torch.Tensor:
        """Return the logits of an episode."""
        size, rule = self.rules.input, self.rules.resize
        query = input_image(self.dataset.image(episode.query), size, rule)[None]
        names = episode.supports[0]
        read = [input_image(self.dataset.image(name), size, rule) for name in names]
        masks = [support_mask(self.dataset.label(name), episode.classes[0], size, rule) for name in names]
        if rule == "none":
            with torch.no_grad():
                return self.answer(query, [one[None] for one in read], [torch.from_numpy(one)[None] for one in masks])
        images, stacked = torch.stack(read)[None], torch.stack([torch.from_numpy(mask) for mask in masks])[None]
        with torch.no_grad():
            if self.rules.name == "cyctr":
                outside = ignored_pixels(self.dataset.label(episode.query), size, rule, rim=False)
                return self.answer(query, images, stacked, torch.from_numpy(outside)[None])
            if self.rules.name == "mianet":
                return self.answer(query, images, stacked % 255, episode.classes[0])
            # FPTrans takes what is neither object nor background for what it is.
            return self.answer(query, images, stacked if self.rules.name == "fptrans" else stacked % 255)

    def labels(self, episode: fssbench.Episode) -> torch.Tensor:
        """Return the label map of an episode, at the size that is counted."""
        logits = self.raw(episode)
        label = self.dataset.label(episode.query)
        size = self.rules.input if self.rules.score_at == "input" else scored_shape(label.shape, self.rules.resize)
        resized = F.interpolate(logits, size, mode="bilinear", align_corners=self.corners)
        votes = resized.argmax(dim=1).sum(dim=0)
        labels = votes.float() / votes.max().clamp(min=1) >= 0.5
        return labels[: label.shape[0], : label.shape[1]] if self.rules.score_at == "original" else labels


class Stopwatch:
    """Measures two that take turns: the seconds of the one that runs now are added to its account."""

    def __init__(self) -> None:
        self.began = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last call."""
        now = time.perf_counter()
        self.began, before = now, self.began
        return now - before


def breaks(count: int, turns: int) -> list[int]:
    """Return after how many of `count` episodes each of the release's turns comes: in the middle of equal parts."""
    return [(2 * turn + 1) * count // (2 * turns) for turn in range(turns)]


def main() -> None:
    """Measure, print, and add a row to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=sorted(PROTOCOLS), required=True)
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--releases", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=1000, help="Length of the list.")
    parser.add_argument("--sample", type=int, default=6, help="How many of them the release answers, twice.")
    parser.add_argument("--answer", type=int, help="How many, in the order of work, are answered here; default all.")
    parser.add_argument("--feature-cache", type=parse_bytes)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="CSV to which the row is added.")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)

    its = questions(given.root, PROTOCOLS[given.method], given.shots, given.episodes, given.answer)
    dataset, rules, episodes, order = its.dataset, its.rules, its.episodes, its.order
    sample = order[:: max(1, len(order) // given.sample)][: given.sample]

    network, answer = released(given.method, given.releases, given.shots)
    release = Release(answer, dataset, rules)
    # Random weights say the same of all pixels; half of the first answer is made foreground.
    state = network.state_dict()
    logits = release.raw(episodes[sample[0]])
    if given.method in CALIBRATED:
        # RPMM's logits of several shots are probabilities of three stages, over 5; HDMNet's are probabilities.
        share = {"rpmm": 10 / 3 if given.shots > 1 else 1.0, "hdmnet": 2.0}.get(given.method, 1.0)
        state[CALIBRATED[given.method]][1] -= (logits[:, 1] - logits[:, 0]).median() * share
    plain = fssbench.build(
        given.method,
        BACKBONES.get(given.method, "resnet50"),
        shot=given.shots,
        trained_on="pascal5i",
        **method_info(given.method).random_with,
    )
    fssbench.load_release(plain, {key: value.clone() for key, value in state.items()})
    method = fast_form(plain)

    turns = sample * 2
    when = breaks(len(order), len(turns))
    theirs: list[torch.Tensor] = []
    rounds = [0.0, 0.0]
    timers, counts = StageTimers(), CacheCounts()
    settings, cpu = Settings(feature_cache=given.feature_cache), torch.device("cpu")
    job = FoldJob(method, episodes, rules, order)
    ours = {}
    here, watch = 0.0, Stopwatch()
    for done, (_, row_here, prediction) in enumerate(
        evaluate_jobs([job], dataset, cpu, settings, timers, 1, counts), 1
    ):
        if row_here.episode in sample:
            ours[row_here.episode] = torch.from_numpy(prediction.labels)
        here += watch.lap()
        for turn in (turn for turn, place in enumerate(when) if max(place, 1) == done):
            theirs.append(release.labels(episodes[turns[turn]]))
            rounds[turn // len(sample)] += watch.lap()
    here /= len(order)
    before, after = (seconds / len(sample) for seconds in rounds)
    del theirs[len(sample) :]

    # Counting takes time itself: operations are counted in another pass, over the first episodes, and taken per call.
    counted = StageTimers()
    some = FoldJob(method, episodes, rules, order[:COUNTED])
    for _ in evaluate_jobs([some], dataset, cpu, Settings(feature_cache=given.feature_cache, profiled=True), counted):
        pass
    profile = make_profile(timers, counts)
    profile = replace(profile, lines=tuple(_with_operations(line, timers, counted) for line in profile.lines))
    pixels = sum(label.numel() for label in theirs)
    differing = sum(int((mine != label).sum()) for mine, label in zip((ours[n] for n in sample), theirs, strict=True))
    flops = {line.stage: line.flops / profile.episodes / 1e9 for line in profile.lines if line.stage in COMPUTING}
    row = {
        "method": given.method,
        "shots": given.shots,
        "released_seconds": f"{(before + after) / 2:.3f}",
        "released_before": f"{before:.3f}",
        "released_after": f"{after:.3f}",
        "seconds": f"{here:.3f}",
        "times_as_fast": f"{(before + after) / 2 / here:.2f}",
        "episodes": len(order),
        "images_encoded": profile.images,
        **{f"{line.stage}_ms": f"{1000 * line.seconds / profile.episodes:.1f}" for line in profile.lines},
        **{f"{stage}_gflop": f"{value:.1f}" for stage, value in flops.items()},
        "encode_share_of_peak": _share(profile, {"encode"}),
        "run_share_of_peak": _share(profile, {line.stage for line in profile.lines}),
        "matmul_gflops": f"{profile.peak_flops / 1e9:.0f}",
        "peak_memory_mib": peak_memory() >> 20,
        "foreground": f"{sum(float(label.float().mean()) for label in theirs) / len(theirs):.2f}",
        "differing_pixels": f"{differing}/{pixels}",
        "machine": environment(torch.device("cpu"), None).device_name,
        "threads": given.threads,
        "torch": torch.__version__,
    }
    keep(row, given.out)


def _with_operations(line: Line, timed_stages: StageTimers, counted: StageTimers) -> Line:
    both = zip(counted.watches(line.stage), timed_stages.watches(line.stage), strict=True)
    return replace(line, flops=round(sum(its.flops / max(its.calls, 1) * own.calls for its, own in both)))


def _share(profile: Profile, stages: set[str]) -> str:
    lines = [line for line in profile.lines if line.stage in stages]
    seconds = sum(line.seconds for line in lines)
    return f"{sum(line.flops for line in lines) / max(seconds, 1e-9) / profile.peak_flops:.2f}"


if __name__ == "__main__":
    main()
