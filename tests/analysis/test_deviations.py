"""What went otherwise than planned is told, and nothing is told of a study that ran as its file has it."""

from types import ModuleType
from typing import Any

import pandas as pd

from hpstudy.analysis import deviations


def told(kept: ModuleType, trials: pd.DataFrame, *sessions: dict[str, str], **changes: Any) -> dict[str, str]:
    found = deviations(kept.study(), trials, sessions or [kept.SESSION])
    assert found.columns.to_list() == ["what", "detail"]
    return dict(found.itertuples(index=False, name=None))


def changed(trials: pd.DataFrame, names: list[str], **values: Any) -> pd.DataFrame:
    rows = trials["trial_id"].isin(names)
    assert rows.sum() == len(names)
    found = trials.copy()
    for name, value in values.items():
        found.loc[rows, name] = value
    return found


def test_none(kept: ModuleType) -> None:
    assert told(kept, kept.kept_trials()) == {}


def test_sessions(kept: ModuleType) -> None:
    trials = kept.kept_trials()
    later = {
        **kept.SESSION,
        "started": "2023-11-15 08:00:00 UTC",
        "packages": "hpstudy 0.1.0, torch 2.14.0",
        "gpus": "1 × H100",
    }
    assert told(kept, trials, kept.SESSION, later, later) == {
        "resumed": "twice: 2023-11-15 08:00:00 UTC, 2023-11-15 08:00:00 UTC",
        "torch changed": "2.13.0 → 2.14.0",
        "gpus changed": "none → 1 × H100",
    }
    often = told(kept, trials, kept.SESSION, *[{**kept.SESSION, "started": f"day {day}"} for day in range(2, 9)])
    assert often == {"resumed": "7 times: day 2, day 3, day 4, … day 8"}


def test_code(kept: ModuleType) -> None:
    trials = kept.kept_trials()
    dirty = {**kept.SESSION, "source": "revision 0123456789ab with uncommitted changes"}
    assert told(kept, trials, dirty) == {
        "code not committed": "the session ran revision 0123456789ab with uncommitted changes"
    }
    other = {**kept.SESSION, "source": "revision ba9876543210"}
    assert told(kept, trials, kept.SESSION, other)["code changed"] == "revision 0123456789ab → revision ba9876543210"
    both = told(kept, trials, kept.SESSION, dirty)["code not committed"]
    assert both.startswith("1 of 2 sessions ran revision 0123456789ab → ")


def test_a_record_without_sessions(kept: ModuleType) -> None:
    found = deviations(kept.study(), kept.kept_trials(), [])
    assert found["what"].to_list() == ["no session recorded"]


def test_devices(kept: ModuleType) -> None:
    trials = kept.kept_trials()
    two = changed(trials, ["cosface.default.confirm.s0.101", "cosface.default.search.s0.000"], device="H100")
    detail = told(kept, two)["several kinds of device"]
    assert detail == "37 trials on CPU and 2 trials on H100; 1 of 3 confirm seeds were not run on one kind for all arms"


def test_cut_off_trials(kept: ModuleType) -> None:
    name = "cosface.default.search.s0.002"
    detail = told(kept, changed(kept.kept_trials(), [name], attempt=3))["trials continued after a cut"]
    assert detail == f"1 trial went on from a checkpoint or began anew, the most often cut off one twice: {name}"


def test_failed_trials(kept: ModuleType) -> None:
    names = ["cosface.default.search.s0.001", "dynamic.default.confirm.s0.102"]
    failed = changed(kept.kept_trials(), names, status="failed", cause="OSError: disk\nand more")
    found = told(kept, failed)
    assert found["trials failed"] == f"2 trials (1 confirm and 1 search) left out, OSError: disk: {', '.join(names)}"
    causes = told(kept, changed(failed, names[:1], cause="ValueError: shape"))["trials failed"]
    assert causes == (
        f"1 trial (1 confirm) left out, OSError: disk: {names[1]}; "
        f"1 trial (1 search) left out, ValueError: shape: {names[0]}"
    )
    assert found["unequal confirm seeds"].startswith("scored: dynamic 2 of 3 in default;")
    assert "confirm trials missing" not in found


def test_an_arm_of_which_every_seed_failed(kept: ModuleType) -> None:
    names = [f"dynamic.default.confirm.s0.{seed}" for seed in (101, 102, 103)]
    found = told(kept, changed(kept.kept_trials(), names, status="failed", cause="killed"))
    assert found["unequal confirm seeds"].startswith("scored: dynamic none in default;")


def test_a_search_without_a_point(kept: ModuleType) -> None:
    trials = kept.kept_trials()
    lane = (trials["arm"] == "cosface") & (trials["search_seed"] == 1)
    lost = trials[~(lane & (trials["phase"] == "confirm"))].copy()
    lost.loc[lane & (lost["status"] == "completed"), "status"] = "diverged"
    detail = "1 left nothing to confirm: cosface in default, search seed 1 (4 diverged and 2 pruned)"
    assert told(kept, lost) == {"searches without a point": detail}


def test_unfinished(kept: ModuleType) -> None:
    assert told(kept, kept.kept_trials().head(20)) == {"unfinished": "20 of 39 trials have ended"}


def test_diverged_trials_are_outcomes(kept: ModuleType) -> None:
    name = "dynamic.default.confirm.s0.102"
    assert told(kept, changed(kept.kept_trials(), [name], status="diverged", cause="loss is not finite")) == {}


def test_confirm_trials_that_are_missing(kept: ModuleType) -> None:
    """Of a study that counts as finished all the same: one search left no point, another is short of a seed."""
    trials = kept.kept_trials()
    extra = trials.iloc[[0]].assign(trial_id="cosface.default.search.s0.006", number=6)
    short = pd.concat([trials[trials["trial_id"] != "cosface.default.confirm.s0.103"], extra], ignore_index=True)
    assert told(kept, short)["confirm trials missing"] == "1 of cosface in default, search seed 0"
