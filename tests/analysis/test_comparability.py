"""What studies share, what differs, and where comparing them is unfair."""

import dataclasses
from collections.abc import Callable

import pandas as pd
import pytest

from hpstudy.analysis import ComparedStudy, cautions, differing_keys, shared_facts

Make = Callable[..., ComparedStudy]
WORTH = {"cosface": 0.8, "dynamic": 0.77}


@pytest.fixture
def pair(make_compared: Make) -> list[ComparedStudy]:
    return [make_compared("first", WORTH), make_compared("second", WORTH)]


def test_studies_that_differ_in_nothing_need_no_caution(pair: list[ComparedStudy]) -> None:
    assert cautions(pair) == []
    assert differing_keys(pair).empty
    facts = shared_facts(pair)
    assert facts["shared"].all()
    told = facts.set_index("aspect")["value"]
    assert told["metric"] == "TAR at FAR 10⁻³, test identities"
    assert told["margin δ"] == "±1.0\N{NO-BREAK SPACE}points"
    assert told["data"] == "glyphs, SHA-256 77ab"
    assert told["identities"] == "train: 300, val: 200, test: 400"
    assert told["confirm seeds"] == "3 (101 to 103)"
    assert told["search"] == "random, 4 trials × 1 search, early stopping none"
    assert told["code"] == "revision 13b27d06e33b"
    assert told["progress"] == "all trials ended"


def test_differing_keys_have_the_value_of_each_study(make_compared: Make) -> None:
    one = make_compared("one", WORTH, changes={"model": {"width": 8, "depth": None}, "arms": {"a": {"loss": "x"}}})
    two = make_compared("two", WORTH, changes={"model": {"width": 16, "depth": 1}, "arms": {}})
    same = make_compared("same", WORTH, changes={"model": {"width": 8, "depth": None}, "arms": {"a": {"loss": "x"}}})
    found = differing_keys([one, two, same])
    assert found[["key", "value", "studies"]].to_numpy().tolist() == [
        ["model.width", "8", ("one", "same")],
        ["model.width", "16", ("two",)],
        ["model.depth", "null", ("one", "same")],
        ["model.depth", "1", ("two",)],
        ["arms.a", "{loss: x}", ("one", "same")],
        ["arms.a", "absent", ("two",)],
    ]


def test_what_conditions_vary_is_no_value_of_the_study(make_compared: Make) -> None:
    study = make_compared("by-size", WORTH, changes={"conditions": {"model.embedding_dim": [64, 256]}})
    told = shared_facts([study, study]).set_index("aspect")["value"]
    assert told["network"] == "name: convnet, width: 8, embedding_dim: by condition"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"far": "1e-4"}, "The metric is not the same (TAR at FAR 10⁻³"),
        ({"margin": 0.02}, "The equivalence margin is not the same (±1.0"),
        ({"seeds": 5}, "The numbers of confirm seeds differ (3 in first; 5 in second)"),
        ({"missing": 4}, "second is unfinished: what is said of it may change."),
        ({"source": "revision ffff"}, "The code is not the same (revision 13b27d06e33b in first; revision ffff"),
        ({"data": "other"}, "The test identities are not the same in all studies"),
        ({"data": ""}, "The record of second holds no hash of the data"),
    ],
)
def test_what_is_unfair_is_told(make_compared: Make, given: dict[str, object], words: str) -> None:
    told = cautions([make_compared("first", WORTH), make_compared("second", WORTH, **given)])
    assert len(told) == 1
    assert told[0].startswith(words)


def test_one_study_run_twice_is_told(make_compared: Make) -> None:
    told = cautions([make_compared(name, WORTH, sha256="same") for name in ("first", "second")])
    assert told[0].startswith("first and second have the same study file: one study run 2 times")


def test_devices_empty_studies_and_names_with_two_meanings_are_told(pair: list[ComparedStudy]) -> None:
    first, second = pair
    on_gpu = dataclasses.replace(second, trials=second.trials.assign(device="NVIDIA H100"))
    assert cautions([first, on_gpu])[0].startswith("The trials did not run on the same kind of device (CPU")
    waiting = dataclasses.replace(second, trials=pd.DataFrame())
    assert cautions([first, waiting]) == ["second has no trial yet."]
    told = shared_facts([first, waiting])
    assert ("progress", "no trial yet") in set(zip(told["aspect"], told["value"], strict=True))
    renamed = dataclasses.replace(second, trials=second.trials.assign(loss="arcface"))
    assert any(text.startswith("Arm cosface is not the same loss everywhere") for text in cautions([first, renamed]))


def test_what_did_not_go_by_the_file_is_told(pair: list[ComparedStudy]) -> None:
    first, second = pair
    resumed = dataclasses.replace(
        second, deviations={"resumed": "once"}, broken={"Seeds are fresh": "101 was searched"}
    )
    told = shared_facts([first, resumed]).set_index("aspect").loc["deviations"]
    assert told["value"].to_list() == ["none", "resumed"]
    assert cautions([first, resumed]) == [
        "A rule of the protocol is not kept in second: seeds are fresh. Its report has the evidence."
    ]


def test_braces_in_a_name_are_no_placeholders(make_compared: Make) -> None:
    told = cautions([make_compared("{0}", WORTH), make_compared("{values}", WORTH, seeds=5)])
    assert "3 in {0}; 5 in {values}" in told[0]
