"""The same arm in several studies: what it was set to, what it scored, and whether search settings moved it."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from hpstudy.analysis._comparability import differing_keys
from hpstudy.analysis._compared import ComparedStudy
from hpstudy.analysis._comparisons import DIVERGED, confirm_summary, word_of
from hpstudy.analysis._components import confirm_scores, difference_matrix, score_matrix
from hpstudy.analysis._metrics import metric_name
from hpstudy.analysis._statistics import estimate, holm, paired_test
from hpstudy.theory import adacos_fixed_scale, cosface_scale_bound

POSTERIOR = 0.9
"""The posterior that CosFace's bound on s is asked for."""

PAIRED, UNPAIRED = "paired", "Welch"
IDENTICAL = "identical"
"""The finding where every shared seed gave the same score to the last digit: the trials are the same trials."""

_BETWEEN = [
    "study", "condition", "reference", "reference_condition", "arm", "check", "how", "n", "difference", "low", "high",
    "p", "p_holm", "equivalence_p", "equivalence_p_holm", "word", "differs",
]  # fmt: skip


def arms_across(studies: Sequence[ComparedStudy]) -> pd.DataFrame:
    """Arms that two studies or more have with the same name and loss: what each chose and what it scored.

    Returns:
        `confirm_summary` of them with `study`, `metric`, `num_classes`, `embedding_dim`; `final_s`, the median scale
        after the confirm trials' last step, which for an adaptive arm is where its rule led; `least_s`, CosFace's least
        s for a posterior of `POSTERIOR` with so many classes (eq. 6), and `adacos_s`, the scale of fixed AdaCos.
    """
    frames = []
    for study in studies:
        if study.trials.empty:
            continue
        trials = study.trials
        sizes = trials.groupby("condition", sort=False)[["num_classes", "embedding_dim"]].first().reset_index()
        summary = confirm_summary(trials, study.metric).merge(sizes, on="condition", how="left")
        summary.insert(0, "study", study.label)
        summary.insert(1, "metric", study.metric)
        confirm = trials[(trials["phase"] == "confirm") & (trials["status"] == "completed")]
        column = "geometry/final_s" if "geometry/final_s" in trials else "s"
        last = confirm.groupby(["condition", "arm"])[column].median().rename("final_s").reset_index()
        frames.append(summary.merge(last, on=["condition", "arm"], how="left"))
    if not frames:
        return pd.DataFrame(columns=["study", "arm", "loss"])
    stacked = pd.concat(frames, ignore_index=True)
    shared = stacked.groupby(["arm", "loss"])["study"].transform("nunique") > 1
    stacked = stacked[shared].sort_values("arm", kind="stable", ignore_index=True)
    classes = stacked["num_classes"].astype(int)
    stacked["least_s"] = [cosface_scale_bound(count, POSTERIOR) for count in classes]
    stacked["adacos_s"] = [adacos_fixed_scale(count) if count > 2 else np.nan for count in classes]
    return stacked


def between_studies(studies: Sequence[ComparedStudy]) -> pd.DataFrame:
    """The same arm in two studies that were judged by the same metric on the same test identities.

    The first study of the list that has the identities is the reference, and the difference is the other minus it.
    Where data, network and training agree, the studies differ in how they searched alone: confirm trials with the same
    seed began with the same weights and saw the same batches, and are paired. An arm that is set alike in both, with
    nothing to search, then has the same trials in both, and is a check: `IDENTICAL`, unless something beside the search
    changed. Where network or training differ, or fewer than two seeds are shared, the arm's means are compared by
    Welch's test. p values are Holm-adjusted over all rows that are no such check.

    Studies on other test identities have no row. No error here speaks of test identities, so a test would find every
    difference between two data sets, and lay it on the arm.

    Returns:
        One row per study × condition × arm: `study`, `condition`, `reference`, `reference_condition`, `arm`, `check`
        (whether its trials should be the same), `how` (`PAIRED` or `UNPAIRED`), `n` (seeds; the smaller number of the
        two if unpaired), `difference`, `low`, `high` (95 %), `p`, `p_holm`, `equivalence_p`, `equivalence_p_holm` (NaN
        where the studies' δ differ), `word` (of the study against the reference), `differs` (the keys at which the
        study files differ, without those of other arms).
    """
    rows: list[dict[str, object]] = []
    for study, condition, reference, other in _pairs(studies):
        rows += _arms(study, condition, reference, other)
    frame = pd.DataFrame(rows, columns=[*_BETWEEN, "p_permutation", "reason"])
    check = frame["check"].astype(bool) | (frame["word"] == IDENTICAL)
    tested = int(frame["p"].where(~check).notna().sum())
    for name in ("p", "p_permutation", "equivalence_p"):
        alone = frame[name].astype(float)
        frame[f"{name}_holm"] = pd.Series(holm(alone.where(~check).to_list()), dtype=float).where(~check, alone)
    frame["word"] = [row["word"] or word_of(row, max(tested, 1)) for row in frame.to_dict("records")]
    return frame[_BETWEEN]


def _pairs(studies: Sequence[ComparedStudy]) -> Iterator[tuple[ComparedStudy, str, ComparedStudy, str]]:
    """Each study and condition with the first study and condition that it can be compared with.

    Conditions with the same trials are preferred to those of the same name on the same test identities.
    """
    begun = [study for study in studies if not study.trials.empty]
    for rank, study in enumerate(begun):
        for condition, place in study.places.items():
            earlier = [(other, name, found) for other in begun[:rank] for name, found in other.places.items()]
            earlier = [one for one in earlier if one[0].metric == study.metric and place.same_test(one[2])]
            same = [one for one in earlier if place.same_trials(one[2])]
            named = [one for one in earlier if one[1] == condition]
            for other, name, _ in (same or named)[:1]:
                yield study, condition, other, name


def _arms(study: ComparedStudy, condition: str, reference: ComparedStudy, other: str) -> Iterator[dict[str, object]]:
    losses = reference.losses()
    both = [arm for arm, loss in study.losses().items() if losses.get(arm) == loss]
    scored = [confirm_scores(one.trials, one.metric) for one in (study, reference)]
    dead = [_dead(one.trials, place) for one, place in ((study, condition), (reference, other))]
    same = study.places[condition].same_trials(reference.places[other])
    keys = list(differing_keys([study, reference])["key"].drop_duplicates())
    margin = study.margin if study.margin == reference.margin else np.nan
    bounds = (-1.0, 1.0) if metric_name(study.metric).is_rate else (-np.inf, np.inf)
    for arm in both:
        here, there = score_matrix(scored[0], condition, arm), score_matrix(scored[1], other, arm)
        if not here.size or not there.size:
            continue
        phases = {*study.trials.loc[study.trials["arm"] == arm, "phase"]}
        differs = [key for key in keys if not key.startswith("arms.") or f"{key}.".startswith(f"arms.{arm}.")]
        row: dict[str, object] = {
            "study": study.label,
            "condition": condition,
            "reference": reference.label,
            "reference_condition": other,
            "arm": arm,
            "check": False,
            "differs": ", ".join(key for key in differs if key not in ("question", "resources")),
            "word": "",
            "reason": "",
        }
        lost = [one.label for one, gone in zip((study, reference), dead, strict=True) if arm in gone]
        if lost:
            yield row | {"how": "", "n": 0, "reason": f"diverged in {' and '.join(lost)}", "word": DIVERGED}
            continue
        tested = _paired(here, there, margin) if same else None
        alike = phases == {"confirm"} and not any(key.startswith("arms.") for key in differs)
        row["check"] = tested is not None and alike
        tested = tested or _welch(here, there, margin)
        ends = np.clip(np.array([tested["low"], tested["high"]], dtype=float), *bounds)
        yield row | tested | {"low": float(ends[0]), "high": float(ends[1])}


def _dead(trials: pd.DataFrame, condition: str) -> set[str]:
    """Arms whose confirm trials in a condition all diverged."""
    confirm = trials[
        (trials["condition"] == condition) & (trials["phase"] == "confirm") & (trials["status"] != "failed")
    ]
    diverged = confirm.groupby("arm")["status"].agg(lambda found: bool((found == "diverged").all()))
    return set(diverged[diverged.astype(bool)].index) if len(confirm) else set()


def _paired(here: pd.DataFrame, there: pd.DataFrame, margin: float) -> dict[str, object] | None:
    """At the same seeds; None with fewer than two of them."""
    differences = difference_matrix(here, there)
    if differences.shape[1] < 2:
        return None
    test = paired_test(differences, margin)
    return {
        "how": PAIRED,
        "n": differences.shape[1],
        "difference": test.estimate.mean,
        "low": test.interval.low,
        "high": test.interval.high,
        "p": test.p,
        "p_permutation": test.p_permutation,
        "equivalence_p": test.equivalence_p if np.isfinite(margin) else np.nan,
        "word": "" if differences.any() else IDENTICAL,
    }


def _welch(here: pd.DataFrame, there: pd.DataFrame, margin: float) -> dict[str, object]:
    """Of two means, each with the error of its own searches and seeds (Welch, with Satterthwaite's freedom)."""
    sides = [estimate(scores.to_numpy(dtype=float)) for scores in (here, there)]
    difference = sides[0].mean - sides[1].mean
    found: dict[str, object] = {"how": UNPAIRED, "n": min(side.n for side in sides), "difference": difference}
    variances = np.array([side.error**2 for side in sides])
    total = float(variances.sum())
    if not total > 0:
        return found | dict.fromkeys(("low", "high", "p", "p_permutation", "equivalence_p"), np.nan)
    freedom = total**2 / float((variances**2 / np.array([side.freedom for side in sides])).sum())
    error = float(np.sqrt(total))
    half = float(stats.t.ppf(0.975, freedom)) * error
    beyond = max(float(stats.t.sf((margin + side * difference) / error, freedom)) for side in (1, -1))
    p = 2 * float(stats.t.sf(abs(difference) / error, freedom))
    ends = {"low": difference - half, "high": difference + half}
    return found | ends | {"p": p, "p_permutation": p, "equivalence_p": beyond}


def settings_words(between: pd.DataFrame) -> list[str]:
    """What the arms whose trials should be the same say of a comparison of search settings: a sentence, or none."""
    checks = between[between["check"].astype(bool)]
    if checks.empty:
        return []
    moved = checks[checks["word"] != IDENTICAL]
    if moved.empty:
        return [
            "The arms that nothing was searched for scored the same to the last digit at every shared seed, as they "
            "must where the search alone differs."
        ]
    told = "; ".join(f"{row['arm']} in {row['study']}" for row in moved.to_dict("records"))
    return [
        f"Of {len(checks)} arms that nothing was searched for, {len(moved)} did not score the same at the same seeds "
        f"({told}), as they would if the search alone differed: something else did, such as the code or the device, "
        "and the other differences may come from that too."
    ]
