"""The full factorial of sampler `grid`: how many levels, which, and the paper's default beside them."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.spec import parse_study

TWO = "{loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0, 0.6]}}}"


def points_of(arm, trials, defaults=True):
    study = parse_study(
        f"version: 1\nname: x\nmodel: {{width: 4}}\narms: {{a: {arm}}}\n"
        f"search: {{sampler: grid, trials: {trials}, paper_defaults: {str(defaults).lower()}}}\n"
    )
    points = study.arm("a").factorial_points(study.spec.search)
    first = study.arm("a").first_points(study.spec.search)
    assert study.planned_trials()["search"] == len(points) + len(first) <= trials
    return points


@pytest.mark.parametrize(
    ("trials", "levels"), [(4, (2, 2)), (6, (3, 2)), (8, (4, 2)), (9, (3, 3)), (11, (3, 3)), (12, (4, 3)), (50, (7, 7))]
)
def test_ranges_share_the_levels_evenly(trials, levels):
    points = points_of(TWO, trials, defaults=False)
    assert tuple(len({point[name] for point in points}) for name in ("s", "m")) == levels
    assert len(points) == math.prod(levels)


def test_levels_are_even_in_the_scale_of_their_range():
    (a, b, c, d) = [
        point["s"] for point in points_of("{loss: normface, search: {s: {log: [2, 54]}}}", 4, defaults=False)
    ]
    assert (a, d) == (2, 54)
    assert [b, c] == pytest.approx([6, 18])
    linear = [point["m"] for point in points_of("{loss: cosface, search: {m: {linear: [0, 0.6]}}}", 5)]
    assert linear == pytest.approx([0, 0.2, 0.4, 0.6])
    whole = points_of("{loss: cosface, search: {training.batch_size: {int: [2, 7]}}}", 100)
    assert [point["training.batch_size"] for point in whole] == [2, 3, 4, 5, 6, 7]


def test_the_paper_default_takes_a_trial_unless_it_is_on_the_grid():
    assert len(points_of(TWO, 5)) == 4
    assert len(points_of(TWO, 10)) == 9
    assert len(points_of(TWO, 9)) == 8
    on_the_grid = points_of("{loss: cosface, search: {s: {log: [2, 64]}, m: {choice: [0.2, 0.35]}}}", 8)
    assert len(on_the_grid) == 7
    assert {"s": 64, "m": 0.35} not in on_the_grid
    assert points_of("{loss: cosface, search: {s: {choice: [64]}}}", 8) == []


intervals = st.tuples(st.integers(1, 400), st.integers(1, 400)).filter(lambda pair: pair[0] != pair[1]).map(sorted)
ranges = (
    intervals.map(lambda pair: f"{{log: {pair}}}")
    | intervals.map(lambda pair: f"{{linear: {pair}}}")
    | intervals.map(lambda pair: f"{{int: {pair}}}")
    | st.lists(st.integers(1, 400), min_size=1, max_size=4, unique=True).map(lambda values: f"{{choice: {values}}}")
)


@given(st.lists(ranges, min_size=1, max_size=3), st.integers(65, 400), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_factorial_is_whole_distinct_and_holds_the_ends(entries, trials, defaults):
    names = ["s", "k", "training.optimizer.lr"][: len(entries)]
    search = ", ".join(f"{name}: {entry}" for name, entry in zip(names, entries, strict=True))
    arm = f"{{loss: 'own.losses:Loss', search: {{{search}}}}}"
    study = parse_study(f"version: 1\nname: x\narms: {{a: {arm}}}\n")
    points = points_of(arm, trials, defaults)
    levels = {name: {point[name] for point in points} for name in names}
    assert len({tuple(point.values()) for point in points}) == len(points)
    assert len(points) == math.prod(map(len, levels.values()))
    for name, entry in study.arm("a").space.items():
        assert all(entry.contains(value) for value in levels[name])
        assert set(entry.values) <= levels[name]
