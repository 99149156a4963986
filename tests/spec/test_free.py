"""Data without images, training sets that are skewed or wrong on purpose, and epochs of a given length."""

import pytest

from hpstudy.exceptions import StudyFileError
from hpstudy.spec import DataSpec, Study, parse_study

GOOD = "version: 1\nname: study\narms:\n  a: {loss: cosface}\nconfirm: {seeds: 0}\n"
DATA = "data: {source: free, identities: {train: 8, val: 0, test: 0}, samples: 4}\n"
MODEL = "model: {name: free, embedding_dim: 2}\n"


def mistakes_of(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(StudyFileError) as caught:
        parse_study(text)
    return [(mistake.line, mistake.path, mistake.message) for mistake in caught.value.mistakes]


TOGETHER = "data.source free and model.name free go together, but got source {} with model {}"
MISTAKES = {
    GOOD + DATA.replace(", samples: 4", "") + MODEL: (6, "data.source", "source free needs data.samples, how many po"),
    GOOD + DATA.replace("samples: 4", "samples: 0") + MODEL: (6, "data.samples", "must be at least 1, but got 0"),
    GOOD + "data: {samples: 4}\n": (6, "data.samples", "only free makes its samples, source glyphs brings its own; r"),
    GOOD + DATA.replace("val: 0", "val: 2") + MODEL: (6, "data.identities", "write val: 0, test: 0 in data.identities"),
    GOOD + DATA.replace("test: 0", "test: 9") + MODEL: (6, "data.identities", "have learned nothing to be judged by"),
    GOOD + "data: {source: free, samples: 4}\n" + MODEL: (6, "data.identities", "write val: 0, test: 0 in data.iden"),
    GOOD + DATA: (6, "data.source", TOGETHER.format("free", "convnet")),
    GOOD + MODEL: (1, "data.source", TOGETHER.format("glyphs", "free")),
    GOOD + DATA + "model: {name: 'own.nets:net'}\n": (6, "data.source", TOGETHER.format("free", "own.nets:net")),
    GOOD + DATA + MODEL + "conditions: {model.name: [free, convnet]}\n": (
        8,
        "conditions",
        f"with model.name 'convnet': {TOGETHER.format('free', 'convnet')}",
    ),
    GOOD + DATA + MODEL + "conditions: {data.samples: [3, 0]}\n": (8, "conditions.data.samples[1]", "at least 1, but"),
    GOOD + "conditions: {data.samples: [3]}\n": (6, "conditions", "with data.samples 3: only free makes its samples"),
    GOOD + DATA.replace("samples: 4", "samples: 4, path: x") + MODEL: (6, "data.path", "free has no images and reads"),
    GOOD + DATA.replace("samples: 4", "samples: 4, fonts: x") + MODEL: (6, "data.fonts", "only glyphs reads fonts"),
    GOOD + "data: {imbalance: 0.5}\n": (6, "data.imbalance", "must be at least 1, but got 0.5"),
    GOOD + "data: {imbalance: 1001}\n": (6, "data.imbalance", "must be at most 1000, but got 1001"),
    GOOD + "data: {label_noise: 1}\n": (6, "data.label_noise", "must be less than 1, but got 1"),
    GOOD + "data: {label_noise: -0.1}\n": (6, "data.label_noise", "must be at least 0, but got -0.1"),
    GOOD + "training: {steps_per_epoch: 0}\n": (6, "training.steps_per_epoch", "must be at least 1, but got 0"),
    GOOD + "training: {steps_per_epoch: 2.5}\n": (6, "training.steps_per_epoch", "must be a whole number, but got 2.5"),
    GOOD + "conditions: {training.steps_per_epoch: [9, 0]}\n": (
        6,
        "conditions.training.steps_per_epoch[1]",
        "must be at least 1, but got 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MISTAKES.items(), ids=[expected[1] for expected in MISTAKES.values()])
def test_one_mistake_gives_one_report(text: str, expected: tuple[int, str, str]) -> None:
    line, path, fragment = expected
    found = mistakes_of(text)
    assert [entry[:2] for entry in found] == [(line, path)]
    assert fragment in found[0][2]


def settings_of(study: Study) -> list[DataSpec]:
    return [condition.data for condition in study.conditions()]


def test_what_is_shown_and_how_much_of_it_can_be_conditions() -> None:
    text = "conditions: {data.label_noise: [0, 0.1], data.imbalance: [1, 50], training.steps_per_epoch: [40, 80]}\n"
    study = parse_study(GOOD + DATA + MODEL + text)
    assert [condition.id for condition in study.conditions()][:3] == [
        "label_noise-0_imbalance-1_steps_per_epoch-40",
        "label_noise-0_imbalance-1_steps_per_epoch-80",
        "label_noise-0_imbalance-50_steps_per_epoch-40",
    ]
    assert {(data.label_noise, data.imbalance) for data in settings_of(study)} == {
        (0.0, 1.0), (0.0, 50.0), (0.1, 1.0), (0.1, 50.0),
    }  # fmt: skip
    assert {condition.training.steps_per_epoch for condition in study.conditions()} == {40, 80}


def test_by_default_everything_is_shown_once_and_as_it_is() -> None:
    study = parse_study(GOOD)
    assert (study.spec.data.imbalance, study.spec.data.label_noise, study.spec.data.samples) == (1.0, 0.0, None)
    assert study.spec.training.steps_per_epoch is None


def test_steps_of_an_epoch_can_be_listed_and_what_is_shown_can_not() -> None:
    text = GOOD.replace("loss: cosface", "loss: cosface, grid: {training.steps_per_epoch: [3, 5]}")
    study = parse_study(text)
    [three, five] = study.arm("a").grid_points()
    assert study.trial_settings("a", "default", five).training.steps_per_epoch == 5
    assert study.trial_settings("a", "default", three).training.steps_per_epoch == 3
    [(_, path, message)] = mistakes_of(GOOD.replace("loss: cosface", "loss: cosface, grid: {data.imbalance: [1, 9]}"))
    assert path == "arms.a.grid.data.imbalance"
    assert "is the same for all arms" in message
