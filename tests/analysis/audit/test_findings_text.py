"""Whatever a record holds, what is said of it reads well: no NaN, no infinity, no `1 trials`, no `3 to 3`."""

import math
import re
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import Audit, StudyFacts, self_check_line, survey_verdict
from hpstudy.analysis.audit import Plane, adacos_premises, margin_drops, stability_agreement, stability_map
from hpstudy.analysis.audit._margin_findings import margin_findings
from hpstudy.analysis.audit._plane_findings import plane_findings, plane_spread
from hpstudy.analysis.audit._premise_findings import premise_findings
from hpstudy.analysis.audit._stability_findings import stability_findings

METRIC = "test/tar_at_far_1e-3"
NOUNS = "trials|lists|cells|pairs|arms|conditions|points|classes|falls|laws|margins|seeds|nodes"
WRONG = {
    "what is no number": re.compile(r"\b(nan|inf|nat|none type)\b", re.IGNORECASE),
    "a double space": re.compile(r"\s\s"),
    "a space before a mark": re.compile(r"\s[,.;:)]"),
    "two marks": re.compile(r"[,.;:]{2}"),
    "one of many": re.compile(rf"(?<![\d,.])1 (?:{NOUNS})\b"),
    "many of one": re.compile(r"(?<![\d,.])(?:[02-9]|\d\d+) (?:trial|list|cell|pair|arm|condition|point|fall|law)\b"),
    "a share of nothing": re.compile(r"\bof 0(?![\d.,])"),
    "a span of one": re.compile(r"(?<![\d.])(?<!below )(?<!above )([+−]?[\d.,]+°?) to \1(?![\d.,°])"),
    "a minus in ASCII": re.compile(r"(?<![\w-])-\d"),
}


def problems(sentence: str) -> list[str]:
    found = [f"{name}: {sentence!r}" for name, wrong in WRONG.items() if wrong.search(sentence)]
    if sentence.count("(") != sentence.count(")"):
        found.append(f"an open parenthesis: {sentence!r}")
    if not sentence.endswith("."):
        found.append(f"no end: {sentence!r}")
    return found


def read_well(sentences: list[str]) -> None:
    assert [problem for sentence in sentences for problem in problems(sentence)] == []


def holed(rng: np.random.Generator, trials: pd.DataFrame) -> pd.DataFrame:
    """Some trials diverged, failed or pruned, some columns of some of them empty, others gone."""
    frame = trials.copy()
    measured = [name for name in frame if name.startswith(("geometry/", "data/"))]
    lost = rng.random(len(frame)) < rng.choice([0.0, 0.1, 0.6])
    frame["status"] = np.where(lost, rng.choice(["diverged", "failed", "pruned"], len(frame)), frame["status"])
    frame.loc[frame["status"] != "completed", measured] = np.nan
    for name in measured:
        frame.loc[rng.random(len(frame)) < rng.choice([0.0, 0.0, 0.3, 1.0]), name] = np.nan
    gone = [name for name in measured if rng.random() < 0.1]
    return frame.drop(columns=gone)


def some(rng: np.random.Generator, items: Any, least: int = 1) -> list[Any]:
    count = int(rng.integers(least, len(items) + 1))
    return [items[place] for place in sorted(rng.choice(len(items), count, replace=False))]


@pytest.mark.parametrize("seed", range(15))
def test_margins(audited: ModuleType, seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    trials = audited.margins(
        some(rng, [(8, 2), (4, 3), (16, 8), (24, 4), (7, 3)]),
        arms=dict(some(rng, [("cosface", "cosface"), ("arcface", "arcface"), ("other", "cosface")])),
        listed=some(rng, np.round(np.linspace(0, 1.5, 16), 2).tolist(), 3),
        seeds=int(rng.integers(1, 4)),
        merge_from=float(rng.choice([0.5, 1.0, 2.0])),
    ).trials
    soft = rng.random() < 0.5
    fractions = trials["geometry/margin_satisfied_fraction"]
    trials["geometry/margin_satisfied_fraction"] = (
        np.clip(fractions + 0.3 * rng.normal(size=len(trials)), 0, 1) if soft else fractions
    )
    read_well(margin_findings(margin_drops(holed(rng, trials))))


@pytest.mark.parametrize("seed", range(10))
def test_stability(audited: ModuleType, seed: int) -> None:
    rng = np.random.default_rng([2, seed])
    sizes = some(rng, [(10, 4), (10, 16), (40, 4), (40, 16), (40, 64)])
    trials = audited.stability(
        sizes,
        arms=dict(
            some(
                rng,
                [("published", "adacos"), ("with-margin", "additive_cosine+adacos_dynamic"), ("mild", "adacos_ema")],
            )
        ),
        noise=some(rng, [0.0, 0.2, 0.5]),
        seeds=int(rng.integers(1, 7)),
        gone=some(rng, sizes, 0),
    ).trials
    ran = trials["status"] == "completed"
    trials.loc[ran, "geometry/final_s"] = rng.choice([4.0, 7.0, 1e3, 1e30], int(ran.sum()))
    found = stability_map(holed(rng, trials))
    read_well(stability_findings(found, stability_agreement(found)))


@pytest.mark.parametrize("seed", range(15))
def test_premises(audited: ModuleType, seed: int) -> None:
    rng = np.random.default_rng([3, seed])
    trials = audited.stability(
        some(rng, [(10, 4), (40, 16), (3, 2)]), noise=(0.0,), seeds=int(rng.integers(1, 3))
    ).trials
    frames = {}
    for name, classes in zip(trials["trial_id"], trials["num_classes"], strict=True):
        excess, theta = rng.choice([-12.0, -0.001, 0.0, 0.4, 9.9, 500.0, 1e25]), rng.choice([0.0, 0.3, 1.5, math.pi])
        course = audited.trajectory(classes, float(rng.choice([0.1, 7.0, 1e4, 1e30])), excess=excess, theta=theta)
        course["cos_nontarget_mean"] += rng.choice([0.0, 0.3, -1.0])
        for column in course.columns[3:]:
            if rng.random() < 0.1:
                course[column] = rng.choice([math.nan, math.inf])
        frames[name] = course
    read_well(premise_findings(adacos_premises(holed(rng, trials), frames.__getitem__)))


@pytest.mark.parametrize("seed", range(15))
def test_planes(seed: int) -> None:
    rng = np.random.default_rng([4, seed])
    planes = []
    for arm in some(rng, ["softmax", "modified_softmax", "normface", "cosface", "arcface"], 0):
        classes = int(rng.integers(2, 12))
        points = rng.normal(size=(5 * classes, 2)) * rng.choice([0.0, 1.0, 1e-6, 1e6])
        points[rng.random(len(points)) < 0.1] = rng.choice([0.0, math.nan])
        samples = pd.DataFrame(points, columns=["x", "y"]).assign(label=np.arange(len(points)) % classes)
        ends = pd.DataFrame(rng.normal(size=(classes, 2)), columns=["x", "y"]).assign(label=np.arange(classes))
        ends.loc[rng.random(classes) < rng.choice([0.0, 0.9]), ["x", "y"]] = rng.choice([0.0, 1.0])
        planes.append(
            Plane(
                condition="default", arm=arm, loss=arm, s=16.0, m=math.nan, num_classes=classes, samples=samples,
                prototypes=ends, accuracy=math.nan,
            )
        )  # fmt: skip
    read_well(plane_findings(plane_spread(planes)))


@pytest.mark.parametrize("seed", range(8))
def test_whole_surveys(audited: ModuleType, planted: ModuleType, seed: int) -> None:
    """Every topic at once, with the headline, the paragraph and the line of the self-check."""
    rng = np.random.default_rng([5, seed])
    sizes = some(rng, [(8, 2), (4, 3), (12, 16)])
    limit = float(rng.choice([0.0, 2.0, 4.0, 1e6]))
    scales = planted.survey(
        sizes=sizes, scales=some(rng, [1.0, 2.0, 4.0, 8.0, 32.0, 1024.0], 3), seeds=int(rng.integers(1, 4)),
        threshold=lambda classes: limit, diverging=some(rng, [1.0, 4.0, 32.0], 0),
        with_scores=bool(rng.random() < 0.7),
    )  # fmt: skip
    survey = audited.joined(
        audited.margins(sizes, listed=some(rng, [0.0, 0.1, 0.3, 0.6, 1.0, 1.4], 2), s=some(rng, [4.0, 16.0, 30.0])),
        audited.stability(some(rng, [(10, 4), (10, 16), (40, 4), (40, 16)]), noise=some(rng, [0.0, 0.2]), seeds=2),
        audited.planes(),
    )
    kept = some(rng, list(pd.concat([survey.trials, scales.trials]).groupby("arm")), 1)
    trials = holed(rng, pd.concat([rows for _, rows in kept], ignore_index=True))
    trials["data/imbalance"] = rng.choice([1.0, 50.0], len(trials))
    found = Audit(trials, METRIC, epochs=scales.epochs, trajectory=survey.trajectory, plane=survey.plane)
    facts = StudyFacts(
        name="survey", question="Does it hold?", objective=METRIC, equivalence_margin=0.01,
        planned={"grid": int(rng.choice([0, 1000]))},
    )  # fmt: skip
    answer = survey_verdict(facts, found)
    sentences = [sentence for finding in found.findings for sentence in finding.sentences]
    read_well([*sentences, answer.headline, answer.paragraph, f"{self_check_line(found.checks)}."])
    assert all(sentence in answer.paragraph for sentence in sentences)
    assert answer.lines[0] == answer.headline
    assert [line.strip() for line in answer.lines[1:] if line.startswith("  ")] == sentences
