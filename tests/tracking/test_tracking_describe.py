import math
from typing import Any

import numpy as np
import pytest

from hpstudy.tracking._describe import end_metrics, params, run_name, tags


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"param/training.optimizer.lr": math.nan}, "cosface #07 s=31.2 m=0.28"),
        ({}, "cosface #07 s=31.2 m=0.28 lr=0.1"),
        (
            {"param/training.optimizer.lr": None, "phase": "grid", "status": "pruned"},
            "cosface grid #07 s=31.2 m=0.28 (pruned)",
        ),
        (
            {"param/training.optimizer.lr": None, "condition": "train-100", "search_seed": 2, "s": np.float64(30)},
            "cosface #07 s=31.2 m=0.28 [train-100] search seed 2",
        ),
        (
            {
                **dict.fromkeys(("s", "m", "param/s", "param/m", "param/training.optimizer.lr"), math.nan),
                "arm": "adacos-dynamic",
                "phase": "confirm",
                "seed": 101,
            },
            "adacos-dynamic confirm seed 101",
        ),
    ],
)
def test_names_that_a_person_reads(row: dict[str, Any], changes: dict[str, Any], name: str) -> None:
    assert run_name({**row, **changes}) == name


def test_tags_leave_out_what_is_not_there(row: dict[str, Any]) -> None:
    found = tags(row)
    assert found["phase"] == "search"
    assert found["status"] == "completed"
    assert found["arm"] == "cosface"
    assert "cause" not in found
    assert "diverged_step" not in found
    assert tags({**row, "cause": "loss is inf", "diverged_step": np.int64(12)})["diverged_step"] == "12"


def test_params_are_plain_numbers(row: dict[str, Any]) -> None:
    found = params({**row, "s": np.float64(31.25), "param/s": np.float64(31.25)})
    assert found == {
        "loss": "cosface",
        "s": "31.25",
        "m": "0.28",
        "C": "300",
        "K": "256",
        "seed": "3",
        "training.optimizer.lr": "0.1",
    }


def test_end_metrics_have_no_nan(row: dict[str, Any]) -> None:
    found = dict(end_metrics({**row, "geometry/final_s": math.inf}))
    assert "test/tar_at_far_1e-3" not in found
    assert found["trial/geometry/final_s"] == math.inf
    assert found["objective"] == 0.71
    assert found["trial/cost/samples_per_s"] == 812.0
