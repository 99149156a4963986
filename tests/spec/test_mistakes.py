"""Bad study files: every mistake has its line, its key path and a message that says what to do."""

import copy
import json
import textwrap

import pytest

from hpstudy.exceptions import StudyFileError
from hpstudy.spec import load_study, parse_study

HEAD = "version: 1\nname: study\n"
ARMS = "arms:\n  a: {loss: cosface}\n"
GOOD = HEAD + ARMS


def mistakes_of(text, source="bad.yaml"):
    with pytest.raises(StudyFileError, match=source) as caught:
        parse_study(textwrap.dedent(text), source=source)
    return [(mistake.line, mistake.path, mistake.message) for mistake in caught.value.mistakes]


def arm(body):
    return f"{HEAD}arms:\n  a: {{{body}}}\n"


SYNTAX = {
    "": (1, "(file)", "the file is empty"),
    "version: 1\nname: [1, 2\narms: {}": (3, "(file)", "flow sequence that begins on line 2"),
    "version: 1\nname: a: b\n": (2, "(file)", "mapping values are not allowed"),
    "arms:\n\t- 3": (2, "(file)", "a tab can't indent; use spaces"),
    "version: 1\nname: \x07": (2, "(file)", "control characters"),
    f"{GOOD}---\nversion: 1\n": (5, "(file)", "one document"),
    f"{GOOD}? [1]\n: 2\n": (5, "(file)", "a key must be a plain text"),
    "[" * 5000: (1, "(file)", "nested deeper than 32 levels"),
    "a: &x [*x]": (1, "a[0]", "inside its own anchor"),
    "a: *nowhere": (1, "a", "no anchor &nowhere"),
    "- 1": (1, "(file)", "a study file is a mapping"),
    "version: 1\nname: \ud800": (2, "(file)", "not valid Unicode"),
    "\n".join(["a0: &a0 [1]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]): (
        6,
        "a5",
        "more than 50000 values",
    ),
}


@pytest.mark.parametrize(("text", "expected"), SYNTAX.items(), ids=range(len(SYNTAX)))
def test_text_that_is_no_study_at_all(text, expected):
    line, path, fragment = expected
    (first, *_) = mistakes_of(text)
    assert first[:2] == (line, path)
    assert fragment in first[2]


SINGLE = {
    # structure
    f"{GOOD}name: b\n": (5, "name", "the key 'name' is given twice, first on line 2"),
    f"{GOOD}trainig: {{epochs: 3}}\n": (5, "trainig", "unknown key 'trainig'; did you mean 'training'?"),
    f"{GOOD}training:\n  epoch: 3\n": (6, "training.epoch", "did you mean 'epochs'? (known: epochs, batch_size"),
    f"name: study\n{ARMS}": (1, "version", "is required: Version of the format"),
    f"version: 1\n{ARMS}": (1, "name", "is required: Name of the study and of its folder"),
    HEAD: (1, "arms", "is required: The methods to compare"),
    f"{HEAD}arms: {{}}\n": (3, "arms", "must have at least 1 entry"),
    f"{HEAD}arms:\n  a: 5\n": (4, "arms.a", "must be a mapping, but got 5"),
    f"version: 2\nname: study\n{ARMS}": (1, "version", "must be 1, the only version"),
    f"version: 1\nname: 7\n{ARMS}": (2, "name", "must be a text, but got 7"),
    f"version: 1\nname: ../up\n{ARMS}": (2, "name", "a study's name is a folder name"),
    f"version: 1\nname: a.b\n{ARMS}": (2, "name", "letters, digits, - and _"),
    f"{HEAD}arms:\n  a b: {{loss: cosface}}\n": (4, "arms.a b", "an arm's name holds letters"),
    f"{HEAD}arms:\n  a: !new {{loss: cosface}}\n": (4, "arms.a", "the tag !new is not allowed"),
    f"{GOOD}question: !!python/name:os.system x\n": (5, "question", "is not allowed; a study file holds plain values"),
    # numbers
    f"{GOOD}training: {{epochs: true}}\n": (5, "training.epochs", "must be a whole number, but got true"),
    f"{GOOD}training: {{epochs: 3.0}}\n": (5, "training.epochs", "must be a whole number, but got 3"),
    f"{GOOD}training: {{epochs: '12'}}\n": (5, "training.epochs", "got '12' (a text; write it without quotes"),
    f"{GOOD}training: {{epochs: 0}}\n": (5, "training.epochs", "must be at least 1, but got 0"),
    f"{GOOD}training: {{grad_clip: .nan}}\n": (5, "training.grad_clip", "must be a finite number, but got .nan"),
    f"{GOOD}training: {{optimizer: {{lr: .inf}}}}\n": (5, "training.optimizer.lr", "must be a finite number"),
    f"{GOOD}training: {{optimizer: {{lr: true}}}}\n": (5, "training.optimizer.lr", "must be a number, but got true"),
    f"{GOOD}training: {{optimizer: {{momentum: 1}}}}\n": (5, "training.optimizer.momentum", "must be less than 1"),
    f"{GOOD}model: {{embedding_dim: 1}}\n": (5, "model.embedding_dim", "must be at least 2, but got 1"),
    f"{GOOD}confirm: {{equivalence_margin: 0}}\n": (5, "confirm.equivalence_margin", "must be more than 0, but got 0"),
    f"{GOOD}resources: {{gpus: 1.5}}\n": (5, "resources.gpus", "a share of one GPU or whole GPUs, but got 1.5"),
    f"{GOOD}search: {{seeds: [0,\n 1, -2]}}\n": (6, "search.seeds[2]", "must be at least 0, but got -2"),
    f"{GOOD}search: {{seeds: [1, 1]}}\n": (5, "search.seeds", "1 is listed twice"),
    f"{GOOD}search: {{paper_defaults: 1}}\n": (5, "search.paper_defaults", "must be true or false, but got 1"),
    # names
    f"{GOOD}training: {{optimizer: {{name: sdg}}}}\n": (
        5,
        "training.optimizer.name",
        "sgd, adamw, but got 'sdg'; did you",
    ),
    f"{GOOD}training: {{optimizer: {{name: adamw}}}}\n": (5, "training.optimizer.name", "adamw needs its own lr"),
    f"{GOOD}training: {{schedule: onecycle}}\n": (5, "training.schedule", "did you mean 'one_cycle'?"),
    f"{GOOD}search: {{sampler: tpee}}\n": (5, "search.sampler", "did you mean 'tpe'?"),
    f"{GOOD}search: {{sampler: cma-es}}\n": (5, "search.sampler", "did you mean 'cmaes'?"),
    arm("loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0, 0.6]}, training.optimizer.lr: {log: [0.01, 0.3]}}")
    + "search: {sampler: grid}\n": (
        5,
        "search.trials",
        "that is at least 9 trials (a 9), but got 8 (the default)",
    ),
    arm("loss: cosface, search: {s: {choice: [16, 32, 64]}, m: {linear: [0, 0.6]}}")
    + "  b: {loss: normface, search: {s: {log: [2, 60]}}}\n  c: {loss: normface, search: {s: {log: [2, 64]}}}\n"
    + "search:\n  sampler: grid\n  trials: 2\n": (9, "search.trials", "at least 7 trials (a 7, b 3, c 3), but got 2"),
    arm("loss: cosface, search: {s: {log: [2, 64]}, m: {linear: [0, 0.6]}}")
    + "search: {sampler: grid, trials: 3, paper_defaults: false}\n": (5, "search.trials", "at least 4 trials (a 4)"),
    f"{GOOD}model: {{name: convent}}\n": (5, "model.name", "did you mean 'convnet'? (known: convnet, free, or pack"),
    f"{GOOD}data: {{source: glyhps}}\n": (5, "data.source", "did you mean 'glyphs'? (known: glyphs, digits"),
    # data
    f"{GOOD}data: {{source: folder}}\n": (5, "data.source", "source folder needs data.path"),
    f"{GOOD}data: {{path: x}}\n": (5, "data.path", "source glyphs is embedded and reads no path"),
    f"{GOOD}data: {{source: folder, path: a/../../x}}\n": (5, "data.path", "goes up with '..'"),
    f"{GOOD}data: {{source: folder, path: ~/x}}\n": (5, "data.path", "'~' is not expanded"),
    f"{GOOD}data: {{source: parquet, path: x, fonts: y}}\n": (5, "data.fonts", "only glyphs reads fonts"),
    f"{GOOD}data: {{image_size: 36}}\n": (5, "data.image_size", "convnet halves the image three times"),
    f"{GOOD}data: {{source: digits}}\n": (5, "data.identities", "digits has 10 identities in all"),
    # objective and early stopping
    f"{GOOD}search: {{objective: train/loss}}\n": (5, "search.objective", "not comparable across s"),
    f"{GOOD}search: {{objective: cross_entropy}}\n": (5, "search.objective", "s multiplies the logits"),
    f"{GOOD}search: {{objective: test/tar_at_far_1e-3}}\n": (5, "search.objective", "write val/tar_at_far_1e-3"),
    f"{GOOD}search: {{objective: val/accuracy}}\n": (5, "search.objective", "no protocol gives 'val/accuracy'"),
    f"{GOOD}search: {{objective: val/tar_at_far_2}}\n": (5, "search.objective", "lies in (0, 1), but got 2"),
    arm("loss: cosface, search: {s: {log: [1, 2]}}") + "training: {epochs: 3}\n": (
        1,
        "search.early_stopping.grace_epochs",
        "must be below training.epochs, or no trial ends early, but got 3 (the default) with 3 epochs",
    ),
    arm("loss: cosface, search: {s: {log: [1, 2]}}")
    + "search: {early_stopping: {grace_epochs: 4}}\nconditions: {training.epochs: [8, 4]}\n": (
        5,
        "search.early_stopping.grace_epochs",
        "but got 4 with 4 epochs",
    ),
    # losses and parts
    arm("loss: cosfac"): (4, "arms.a.loss", "unknown loss 'cosfac'; did you mean 'cosface'? (known: normface, cosface"),
    arm("s: 3"): (4, "arms.a", "an arm needs a loss (normface, cosface"),
    arm("los: cosface"): (4, "arms.a", "did you mean 'loss'? (here: 'los')"),
    arm("loss: cosface, margin: {name: none}"): (4, "arms.a.margin", "a named loss or a margin and a scale, not both"),
    arm("margin: {name: none}"): (4, "arms.a", "needs a margin and a scale; add e.g. scale: {name: fixed, s: 30}"),
    arm("margin: {m: 1}, scale: {name: fixed}"): (4, "arms.a.margin.name", "is required: Name of the part"),
    arm("margin: {name: aditive_angle}, scale: {name: fixed}"): (
        4,
        "arms.a.margin.name",
        "did you mean 'additive_angle'?",
    ),
    arm("margin: {name: none}, scale: {name: adacos}"): (4, "arms.a.scale.name", "did you mean 'adacos_ema'?"),
    arm("margin: {name: none}, scale: {name: fixed}, s: 3"): (4, "arms.a.s", "parameters stand in their part"),
    arm("margin: {name: additive_angle, past_pi: warp}, scale: {name: fixed}"): (
        4,
        "arms.a.margin.past_pi",
        "must be one of clamp, easy, linear, monotone, wrap, but got 'warp'; did you mean 'wrap'?",
    ),
    arm("loss: arcface, regularisers: {intro: {}}"): (4, "arms.a.regularisers.intro", "did you mean 'intra'?"),
    arm("loss: arcface, regularisers: {intra: {wait: 1}}"): (
        4,
        "arms.a.regularisers.intra.wait",
        "regulariser intra has no 'wait'; did you mean 'weight'?",
    ),
    arm("loss: arcface, regularisers: {intra: {weight: -1}}"): (4, "arms.a.regularisers.intra.weight", "[0, 10000]"),
    arm("loss: c_triplet, regularisers: {c_triplet: {}}"): (4, "arms.a.regularisers.c_triplet", "already"),
    arm("loss: own.losses:Loss, regularisers: {intra: {}}"): (4, "arms.a.regularisers", "takes no regularisers"),
    arm("loss: arcface, regularisers: {intra: {weight: 1}}, search: {intra.weight: {log: [0.1, 1]}}"): (
        4,
        "arms.a.search.intra.weight",
        "fixed at 1 and searched as well",
    ),
    arm("loss: intra"): (4, "arms.a.loss", "unknown loss 'intra'"),
    arm("margin: {name: none, m: 0.3}, scale: {name: fixed}"): (4, "arms.a.margin.m", "margin none has no 'm'"),
    arm("loss: cosface, serch: 3"): (4, "arms.a.serch", "cosface has no 'serch'; did you mean 'search'? (it takes: "),
    arm("loss: normface, m: 0.3"): (4, "arms.a.m", "normface has no 'm' (it takes: s)"),
    # units and ranges
    arm("loss: arcface, m: 28.6"): (4, "arms.a.m", "28.6 rad is more than π/2; as degrees it is 0.499 rad"),
    arm("loss: arcface, search: {m: {linear: [0, 28.6]}}"): (
        4,
        "arms.a.search.m",
        "28.6 rad is more than π/2; as degrees it is 0.499 rad",
    ),
    arm("loss: cosface, m: 3"): (4, "arms.a.m", "3 is more than 2; m lies in [0, 2] (cosine): subtracted from"),
    arm("loss: sphereface, grid: {m: [0.35, 1.5]}"): (
        4,
        "arms.a.grid.m",
        "0.35 is less than 1; m lies in [1, 10] (factor)",
    ),
    arm("loss: cosface, s: 0"): (4, "arms.a.s", "0 is not more than 0; s lies in (0, 10000]"),
    arm("loss: cosface, s: many"): (4, "arms.a.s", "must be a number, but got 'many'"),
    arm("loss: cosface, s: true"): (4, "arms.a.s", "must be a finite number, or the name of an option, but got true"),
    arm("loss: cosface, s: .nan"): (4, "arms.a.s", "must be a finite number"),
    arm("loss: cosface, search: {s: {log: [64, 2]}}"): (
        4,
        "arms.a.search.s",
        "reversed: 64 is more than 2; write [2, 64]",
    ),
    arm("loss: cosface, search: {s: {log: [0, 2]}}"): (
        4,
        "arms.a.search.s",
        "a log range needs positive ends, but got 0",
    ),
    arm("loss: cosface, search: {s: {log: [2, 2]}}"): (4, "arms.a.search.s", "the range holds only 2"),
    arm("loss: cosface, search: {s: {log: [2]}}"): (4, "arms.a.search.s", "a range has two ends"),
    arm("loss: cosface, search: {s: {log: [1, 2, 3]}}"): (4, "arms.a.search.s", "must have 2 entries"),
    arm("loss: cosface, search: {s: {log: [1, yes]}}"): (4, "arms.a.search.s", "must be a number, but got 'yes'"),
    arm("loss: cosface, search: {s: [1, 2]}"): (4, "arms.a.search.s", "a range is {log: [low, high]}"),
    arm("loss: cosface, search: {s: {lgo: [1, 2]}}"): (4, "arms.a.search.s", "but got {lgo: [1, 2]}"),
    arm("loss: cosface, search: {s: {int: [1, 2.5]}}"): (4, "arms.a.search.s", "must be a whole number, but got 2.5"),
    arm("loss: cosface, search: {s: {choice: [1, true]}}"): (
        4,
        "arms.a.search.s",
        "must be a finite number, but got true",
    ),
    arm("loss: cosface, search: {s: {choice: [1, 1]}}"): (4, "arms.a.search.s", "1 is listed twice"),
    arm("loss: cosface, grid: {s: []}"): (4, "arms.a.grid.s", "must have at least 1 entry"),
    arm("loss: cosface, search: {}"): (4, "arms.a.search", "must have at least 1 entry"),
    arm("loss: cosface, search: {s: {log: [1, 2]}}, grid: {m: [0.1]}"): (4, "arms.a.grid", "search or grid, not both"),
    arm("loss: cosface, s: 3, grid: {s: [1]}"): (4, "arms.a.grid.s", "s is fixed at 3 and searched as well"),
    arm("loss: 'my.losses:Mine', k: 3, grid: {k: [1]}"): (4, "arms.a.grid.k", "k is fixed at 3 and searched as well"),
    arm("loss: adacos, search: {s: {log: [1, 2]}}"): (
        4,
        "arms.a.search.s",
        "adacos has no 's': its scale adapts itself",
    ),
    arm("loss: normface, search: {m: {linear: [0, 1]}}"): (4, "arms.a.search.m", "normface has no 'm'"),
    arm("loss: arcface, search: {past_pi: {choice: [1]}}"): (4, "arms.a.search.past_pi", "is an option, not a number"),
    arm("margin: {name: additive_cosine}, scale: {name: fixed}, grid: {m: [0.1], margin.m: [0.2]}"): (
        4,
        "arms.a.grid.margin.m",
        "margin.m and m are the same parameter",
    ),
    # training fields
    arm("loss: cosface, grid: {training.optimizer.rl: [1]}"): (
        4,
        "arms.a.grid.training.optimizer.rl",
        "did you mean 'training.optimizer.lr'?",
    ),
    arm("loss: cosface, grid: {training.schedule: [1]}"): (4, "arms.a.grid.training.schedule", "is not a number"),
    arm("loss: cosface, grid: {data.seed: [1]}"): (4, "arms.a.grid.data.seed", "is the same for all arms"),
    arm("loss: cosface, search: {training.batch_size: {log: [16, 64]}}"): (
        4,
        "arms.a.search.training.batch_size",
        "is a whole number; use {int: [low, high]}",
    ),
    arm("loss: cosface, grid: {training.batch_size: [1, 8.5]}"): (
        4,
        "arms.a.grid.training.batch_size",
        "must be at least 2, but got 1; must be a whole number, but got 8.5",
    ),
    arm("loss: cosface, grid: {model.width: [8]}") + "conditions: {model.width: [8, 16]}\n": (
        4,
        "arms.a.grid.model.width",
        "is a condition of the study",
    ),
    # conditions
    f"{GOOD}conditions: {{data.identities.trian: [1]}}\n": (
        5,
        "conditions.data.identities.trian",
        "there is no field data.identities.trian; did you mean 'data.identities.train'?",
    ),
    f"{GOOD}conditions: {{data.identities: [1]}}\n": (
        5,
        "conditions.data.identities",
        "there is no field data.identities",
    ),
    f"{GOOD}conditions: {{model.width: [8,\n  eight]}}\n": (
        6,
        "conditions.model.width[1]",
        "must be a whole number, but got",
    ),
    f"{GOOD}conditions: {{model.width: [8, 8]}}\n": (5, "conditions.model.width", "8 is listed twice"),
    f"{GOOD}conditions: {{model.width: 8}}\n": (5, "conditions.model.width", "must be a list, but got 8"),
    f"{GOOD}conditions: {{model.width: [[8]]}}\n": (5, "conditions.model.width[0]", "must be a finite number, a text"),
    f"{GOOD}conditions: {{data.source: [glyphs, folder]}}\n": (
        5,
        "conditions",
        "with data.source 'folder': source folder needs data.path",
    ),
    f"{GOOD}conditions: {{data.image_size: [32, 30]}}\n": (
        5,
        "conditions",
        "with data.image_size 30: convnet halves the image three times, so",
    ),
    f"{GOOD}data: {{source: folder, path: x}}\nconditions: {{data.path: [a/x, b/x]}}\n": (
        6,
        "conditions",
        "would both be called 'path-x'",
    ),
}


@pytest.mark.parametrize(("text", "expected"), SINGLE.items(), ids=[expected[1] for expected in SINGLE.values()])
def test_one_mistake_gives_one_report(text, expected):
    line, path, fragment = expected
    found = mistakes_of(text)
    assert [entry[:2] for entry in found] == [(line, path)]
    assert fragment in found[0][2]


def test_all_mistakes_come_at_once_in_the_order_of_the_file():
    text = """\
        version: 1
        name: my study
        data: {source: glyfs, identities: {train: true}, seed: -1}
        training: {epochs: 2, optimiser: {lr: 1}}
        arms:
          cosface:
            loss: cosface
            search:
              s: {log: [0, 64]}
              m: {linear: [0.6, 0.1]}
          arcface: {loss: arcface, m: 28.6, colour: red}
          other: {loss: cosfac}
          other: {loss: cosface}
        search: {objective: train/loss}
        """
    assert [entry[:2] for entry in mistakes_of(text)] == [
        (2, "name"),
        (3, "data.source"),
        (3, "data.identities.train"),
        (3, "data.seed"),
        (4, "training.optimiser"),
        (9, "arms.cosface.search.s"),
        (10, "arms.cosface.search.m"),
        (11, "arms.arcface.m"),
        (11, "arms.arcface.colour"),
        (12, "arms.other.loss"),
        (13, "arms.other"),
        (14, "search.early_stopping.grace_epochs"),
        (14, "search.objective"),
    ]


def test_a_mistake_causes_no_others():
    assert [path for _, path, _ in mistakes_of(f"{GOOD}data: {{source: folder, path: 5}}\n")] == ["data.path"]
    assert [path for _, path, _ in mistakes_of(arm("loss: 5, s: 3"))] == ["arms.a.loss"]
    parts = arm("margin: {name: none}, scale: {name: 5}, grid: {scale.s: [1]}")
    assert [path for _, path, _ in mistakes_of(parts)] == ["arms.a.scale.name"]
    text = (
        arm("loss: cosface, grid: {s: [x]}")
        + "training: {epochs: many}\nsearch: {early_stopping: {grace_epochs: 20}}\n"
    )
    assert [path for _, path, _ in mistakes_of(text)] == ["arms.a.grid.s", "training.epochs"]


SOUND = {
    "version": 1,
    "name": "study",
    "data": {"source": "folder", "path": "x", "identities": {"train": 3}},
    "training": {"epochs": 9, "optimizer": {"name": "sgd", "lr": 0.1}},
    "conditions": {"model.width": [4, 8]},
    "arms": {
        "a": {"loss": "cosface", "search": {"s": {"log": [2, 64]}, "training.optimizer.lr": {"linear": [0.1, 1]}}},
        "b": {"margin": {"name": "additive_angle", "m": 0.3}, "scale": {"name": "fixed"}, "grid": {"scale.s": [1, 2]}},
        "c": {"loss": "own.losses:Loss", "k": 3, "search": {"q": {"choice": [1, 2]}}},
    },
    "search": {"seeds": [0, 1], "early_stopping": {"grace_epochs": 3}},
}
WRONG = [None, True, -1, 10**400, 1.5, "", "glyphs", [], {}, [1, [2]], {"log": [2, 1]}, {"name": 3}, {"": {"a": [{}]}}]


def paths_of(value, path=()):
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*path, key)
        yield from paths_of(entry, (*path, key))


@pytest.mark.parametrize("path", list(paths_of(SOUND)), ids=lambda path: ".".join(map(str, path)))
def test_any_value_anywhere_is_fine_or_a_mistake(path):
    for wrong in (*WRONG, ...):
        study = copy.deepcopy(SOUND)
        target = study
        for key in path[:-1]:
            target = target[key]
        if wrong is ...:
            del target[path[-1]]
        else:
            target[path[-1]] = wrong
        try:
            parse_study(json.dumps(study))
        except StudyFileError as error:
            assert error.mistakes  # noqa: PT017


def test_the_message_is_one_line_a_mistake():
    with pytest.raises(StudyFileError, match=r"(?s)bad\.yaml:1: version: .*\nbad\.yaml:2: name: ") as caught:
        parse_study(f"version: 2\nname: 'a/b'\n{ARMS}", source="bad.yaml")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(("content", "fragment"), [(None, "No such file"), (b"name: \xff", "not UTF-8")])
def test_an_unreadable_file_is_a_mistake_too(tmp_path, content, fragment):
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyFileError, match=fragment) as caught:
        load_study(path)
    assert caught.value.mistakes[0].file == str(path)


def test_a_folder_is_not_a_study_file(tmp_path):
    with pytest.raises(StudyFileError, match="it is a folder"):
        load_study(tmp_path)
