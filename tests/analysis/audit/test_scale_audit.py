"""The audit of the bound on s: tightness from true prototypes, the best scale, and words that follow the numbers."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import metric_name
from hpstudy.analysis.audit import (
    BEST_LISTED,
    LISTED,
    OWN_SCALE,
    below_bound,
    best_scales,
    convergence,
    convergence_fit,
    posterior_text,
    scale_audit,
    scale_findings,
)
from hpstudy.theory import adacos_fixed_scale, cosface_scale_bound, implied_posterior

NAME = metric_name("test/tar_at_far_1e-3")


def audited(made: Any, metric: str = "test/tar_at_far_1e-3") -> pd.DataFrame:
    return scale_audit(made.trials, made.epochs, metric)


def words(made: Any) -> str:
    audit, rows = audited(made), convergence(made.trials, made.epochs)
    best = best_scales(audit, made.trials, "test/tar_at_far_1e-3")
    told = scale_findings(audit, best, convergence_fit(rows), below_bound(rows), NAME)
    assert all(sentence.endswith(".") for sentence in told)
    assert "nan" not in " ".join(told)
    return " ".join(told).replace("\N{NO-BREAK SPACE}", " ")


def test_simplex_is_tight_at_every_scale_and_few_dimensions_are_not(planted: Any) -> None:
    made = planted.survey(sizes=((10, 16), (100, 16), (10, 3)))
    audit = audited(made)
    simplex = audit[audit["condition"] == "C10-K16"]
    assert simplex["tightness"].to_list() == pytest.approx([1.0] * len(simplex), abs=1e-9)
    assert (audit.loc[audit["condition"] != "C10-K16", "tightness"] > 1.0).all()
    assert (audit["centre_tightness"] >= audit["tightness"] - 1e-9).all()
    assert (audit["violations"] == 0).all()
    one = simplex[(simplex["kind"] == LISTED) & (simplex["s"] == 4.0)].iloc[0]
    assert one["prototype_posterior"] == pytest.approx(implied_posterior(10, 4.0))
    assert one["implied_posterior"] == pytest.approx(implied_posterior(10, 4.0))
    assert one["ratio_p90"] == pytest.approx(4.0 / cosface_scale_bound(10, 0.9))


def test_rows_are_settings_and_their_trials_replicates(planted: Any) -> None:
    made = planted.survey(sizes=((100, 16), (10, 16)), seeds=4, diverging=(64.0,))
    audit = audited(made)
    assert audit["condition"].drop_duplicates().to_list() == ["C100-K16", "C10-K16"]
    assert audit["kind"].to_list() == ([LISTED] * 8 + [OWN_SCALE] * 2) * 2
    assert (audit["trials"] == 4).all()
    lost = audit[(audit["kind"] == LISTED) & (audit["s"] == 64.0)]
    assert lost["diverged"].to_list() == [1, 1]
    assert lost["scored"].to_list() == [4, 4]
    assert lost["converged"].to_list() == [3, 3]
    fixed = audit[audit["loss"] == "adacos_fixed"]
    assert fixed["s"].to_list() == pytest.approx([adacos_fixed_scale(100), adacos_fixed_scale(10)])
    dynamic = audit[audit["loss"] == "adacos"]
    assert (dynamic["s_low"] < dynamic["s"]).all()
    assert (dynamic["s"] < dynamic["s_high"]).all()


def test_scores_are_means_over_seeds_with_students_interval(planted: Any) -> None:
    made = planted.survey(seeds=3)
    audit, values = audited(made), made.trials.loc[made.trials["s"] == 8.0, planted.METRIC]
    row = audit[(audit["kind"] == LISTED) & (audit["s"] == 8.0)].iloc[0]
    half = 4.302653 * values.std(ddof=1) / math.sqrt(3)
    assert row["score"] == pytest.approx(values.mean())
    assert row["score_high"] - row["score_low"] == pytest.approx(2 * half, rel=1e-6)
    assert audited(made, "test/rank1")["score"].isna().all()


def test_what_is_not_listed_is_left_out(planted: Any) -> None:
    made = planted.survey(seeds=2)
    trials = made.trials.copy()
    assert set(scale_audit(trials.assign(phase="search"), made.epochs, "x")["kind"]) == set()
    one_scale = trials[trials["s"].isna() | (trials["s"] == 4.0)]
    assert set(scale_audit(one_scale, made.epochs, "x")["kind"]) == {OWN_SCALE}
    margin = trials.assign(loss=trials["loss"].replace("normface", "cosface"), m=0.2)
    assert set(scale_audit(margin, made.epochs, "x")["kind"]) == {OWN_SCALE}
    pruned = trials.assign(status="pruned")
    assert scale_audit(pruned, made.epochs, "x").empty
    assert scale_audit(trials.head(0), made.epochs, "x").empty
    assert best_scales(scale_audit(pruned, made.epochs, "x"), pruned, "x").empty


def test_records_without_geometry_or_with_only_divergence_are_audited(planted: Any) -> None:
    made = planted.survey(seeds=2)
    old = made.trials.drop(columns=[c for c in made.trials if c.startswith("geometry/")])
    audit = scale_audit(old, made.epochs, planted.METRIC)
    assert audit[["tightness", "prototype_log_odds", "share", "epoch"]].isna().all(axis=None)
    assert audit.loc[audit["kind"] == LISTED, "s"].to_list() == list(planted.SCALES)
    gone = made.trials.assign(status="diverged")
    audit = scale_audit(gone, made.epochs, planted.METRIC)
    assert (audit["diverged"] == audit["trials"]).all()
    assert audit.loc[audit["kind"] == OWN_SCALE, ["s", "implied_posterior", "ratio_p90"]].isna().all(axis=None)


def test_impossible_log_odds_are_a_violation(planted: Any) -> None:
    made = planted.survey(seeds=3)
    made.trials.loc[made.trials["s"] == 4.0, "geometry/class_centre_log_odds_min"] = [2.5, 2.0, 2.0]
    audit = audited(made)
    assert audit["violations"].to_list() == [1 if s == 4.0 else 0 for s in audit["s"]]
    assert "1 trial lies below eq. 6 at the posterior of its own prototypes, which no unit prototypes can" in words(
        made
    )


def test_best_scale_is_found_with_those_not_told_from_it(planted: Any) -> None:
    made = planted.survey(seeds=5, best_s=16.0)
    best = best_scales(audited(made), made.trials, planted.METRIC)
    assert best["kind"].to_list() == [BEST_LISTED, OWN_SCALE, OWN_SCALE]
    first = best.iloc[0]
    assert (first["s"], first["edge"]) == (16.0, "")
    assert (first["alike"], first["told"], first["untested"]) == (0, 7, 0)
    assert first["ratio_p999"] == pytest.approx(16.0 / cosface_scale_bound(10, 0.999))
    between = planted.survey(seeds=5, best_s=16.0 * math.sqrt(2))
    first = best_scales(audited(between), between.trials, planted.METRIC).iloc[0]
    assert (first["alike_low"], first["alike_high"]) == (16.0, 32.0)
    assert (first["alike"], first["told"]) == (1, 6)


def test_adaptive_scores_are_compared_on_the_same_seeds(planted: Any) -> None:
    made = planted.survey(seeds=4, best_s=16.0)
    best = best_scales(audited(made), made.trials, planted.METRIC)
    of_best = made.trials[made.trials["s"] == 16.0].set_index("seed")[planted.METRIC]
    for row in best.to_dict("records")[1:]:
        own = made.trials[made.trials["arm"] == row["arm"]].set_index("seed")[planted.METRIC]
        assert row["difference"] == pytest.approx((own - of_best).mean())
        assert row["difference_low"] < row["difference"] < row["difference_high"]
    elsewhere = made.trials.assign(seed=made.trials["seed"] + 100 * made.trials["s"].isna())
    apart = best_scales(scale_audit(elsewhere, made.epochs, planted.METRIC), elsewhere, planted.METRIC)
    assert apart["difference"].isna().all()


def test_scales_with_a_diverged_trial_are_not_tested(planted: Any) -> None:
    made = planted.survey(seeds=5, diverging=(64.0, 128.0))
    first = best_scales(audited(made), made.trials, planted.METRIC).iloc[0]
    assert (first["told"], first["untested"]) == (5, 2)
    lost = planted.survey(seeds=5, scales=(1.0, 16.0), diverging=(16.0,), best_s=64.0)
    first = best_scales(audited(lost), lost.trials, planted.METRIC).iloc[0]
    assert first["s"] == 16.0
    assert np.isnan(first["told"])
    assert "one of its trials diverged, so that other scales are not tested against it" in words(lost)


def test_equal_scales_are_rarely_told_apart(planted: Any) -> None:
    """Tukey's level holds for the best of six equal scales over three seeds."""
    rng = np.random.default_rng(3)
    made = planted.survey(seeds=3, scales=tuple(2.0**i for i in range(6)), adaptive=())
    audit = audited(made)
    wrong, families = 0, 80
    for _ in range(families):
        values = rng.normal(0.8, 0.02, len(made.trials)) + 0.02 * made.trials["seed"]
        trials = made.trials.assign(**{planted.METRIC: values})
        means = trials.groupby("s")[planted.METRIC].mean()
        wrong += (
            best_scales(audit.assign(score=means[audit["s"]].to_numpy()), trials, planted.METRIC).iloc[0]["told"] > 0
        )
    assert wrong / families <= 0.12


def test_words_when_all_converge_below_the_bound(planted: Any) -> None:
    told = words(planted.survey(seeds=3))
    assert "With C ≤ K + 1 s is 1.00 times what eq. 6 asks for" in told
    assert "C > K + 1" not in told
    assert "All 6 trials below the bound at P_W = 0.9 converged" in told
    assert "a network can converge there, though what it can't reach is the posterior" in told
    assert (
        "Every trial converged, down to s = 1.00, 0.25 times the bound at P_W = 0.9; the s at which half would" in told
    )
    assert "takes longer below the bound at P_W = 0.9 is not shown" in told
    assert "is at s = 16.0, which is 4.05 times the bound at P_W = 0.9" in told
    assert "Fixed AdaCos uses s = 3.11, 0.79 times the bound at P_W = 0.9, which implies a P_W of 0.778" in told
    assert "Dynamic AdaCos ended at s = " in told


def test_words_when_none_converge_below_the_bound(planted: Any) -> None:
    told = words(planted.survey(seeds=5, threshold=lambda classes: cosface_scale_bound(classes, 0.9)))
    assert (
        "None of the 10 trials below the bound at P_W = 0.9 converged, as against 30 of 30 above it: none did" in told
    )
    assert "some above did, which agrees with the reading that none can" in told
    assert "the threshold lies at s = 2.83, 0.72 times the bound at P_W = 0.9 (95 % interval 0.51 to 1.01)" in told
    assert "Convergence took longer below the bound at P_W = 0.9 (median never against epoch" in told


def test_words_when_nothing_converges_or_is_scored(planted: Any) -> None:
    told = words(planted.survey(threshold=lambda _: 1e9, with_scores=False))
    assert "0 of 18 above it: none did on either side, which can't be laid to the bound" in told
    assert "No trial converged, up to s = 128" in told
    assert "took longer" not in told
    assert "No listed scales were scored, so that nothing is shown of where the best s lies." in told


def test_words_when_nothing_lies_below_the_bound(planted: Any) -> None:
    told = words(planted.survey(scales=(8.0, 16.0, 32.0), adaptive=(), best_s=128.0))
    assert "No trial had an s below the bound at P_W = 0.5, so that nothing is shown of what happens there." in told
    assert "It is the highest s listed, so that the best may lie beyond." in told
    assert "AdaCos" not in told


def test_words_when_s_was_not_varied(planted: Any) -> None:
    told = words(planted.survey(scales=(8.0,)))
    assert "No scale without a margin was varied" in told
    assert "No listed scales were scored" in told
    assert "Fixed AdaCos uses" in told
    empty = planted.survey(seeds=2)
    bare = words(type(empty)(empty.trials.drop(columns=["geometry/class_centre_log_odds_min"]), empty.of_trial))
    assert "No trial measured the posterior of its prototypes" in bare


def test_words_of_several_conditions_give_ranges(planted: Any) -> None:
    told = words(
        planted.survey(
            sizes=((10, 16), (100, 16), (10, 3)), seeds=5, slow_below=7.0, diverging=(128.0,),
            threshold=lambda classes: 0.4 * cosface_scale_bound(classes, 0.9),
        )
    )  # fmt: skip
    assert "; with C > K + 1 s is " in told
    assert "In all 3 conditions half of the trials converge at an s of " in told
    assert "In 3 of 3 conditions fewer trials converged at the largest s than a rising curve allows" in told
    assert "Over 3 conditions the best mean TAR at FAR 10⁻³ is at an s of 2.38 to 4.05 times the bound" in told
    assert "some other listed s is shown to be worse in 3 of 3 conditions" in told


@pytest.mark.parametrize(
    ("log_odds", "text"),
    [
        (0.0, "0.500"),
        (math.log(9), "0.900"),
        (math.log(999), "0.9990"),
        (math.log(9999), "0.99990"),
        (math.log(1 / 3e-7), "1 − 3·10⁻⁷"),
        (math.log(1 / 9.7e-8), "1 − 10⁻⁷"),
        (69.0, "1 − 10⁻³⁰"),
        (-5.0, "0.007"),
        (math.nan, "–"),
    ],
)
def test_posterior_is_told_by_what_it_lacks_to_one(log_odds: float, text: str) -> None:
    assert posterior_text(log_odds).replace("\N{NO-BREAK SPACE}", " ") == text
