"""The best network of an arm in MLflow: logged, loaded by a process that knows nothing, registered."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from mlflow import MlflowClient
from typer.testing import CliRunner

import hpstudy.tracking as tracking
from hpstudy.cli import app
from hpstudy.exceptions import InputError
from hpstudy.models import build_model, embed
from hpstudy.record import StudyFolder, TrialRequest
from hpstudy.spec import Study, TrialSettings, parse_study
from hpstudy.training import Objective, TrialRun, load_trial_data

CPU = torch.device("cpu")
FILE = """
version: 1
name: toy
question: Which?
data: {source: "toy_images:of_twelve", image_size: 16, identities: {train: 4, val: 4, test: 4}}
model: {width: 4, embedding_dim: 16}
training: {epochs: 1, batch_size: 32, optimizer: {name: sgd, lr: 0.1}}
arms:
  cosface: {loss: cosface, s: 12, m: 0.2}
  adacos: {loss: adacos}
search: {objective: val/tar_at_far_1e-2}
confirm: {seeds: 3}
"""
IMAGES = """
import numpy as np
def of_twelve(spec):
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 256, (12, 1, 3, 16, 16))
    images = (centres + rng.integers(-20, 20, (12, 10, 3, 16, 16))).clip(0, 255).astype(np.uint8)
    return images.reshape(120, 3, 16, 16), [str(number // 10) for number in range(120)]
"""
LOAD = """
import json, sys
import mlflow, numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
embeddings = model.predict(np.load(sys.argv[2]))
np.save(sys.argv[3], embeddings)
print(json.dumps([str(model.metadata.signature.inputs), list(model.input_example.shape), model.metadata.metadata]))
"""


@dataclass(frozen=True)
class Trained:
    """A study of which the first confirm trials of one arm were trained."""

    study: Study
    folder: StudyFolder

    @property
    def models(self) -> list[tracking.TrainedModel]:
        return list(tracking.trained_models(self.folder, self.study, self.folder.trials()))

    def tracker(self) -> tracking.MlflowTracker:
        study = self.study
        return tracking.MlflowTracker(
            self.folder.workplace, study.name, study.spec.question, study.sha256, study.resolved_yaml
        )

    def client(self) -> MlflowClient:
        return MlflowClient(tracking.tracking_uri(self.folder.workplace))

    def logged(self) -> list[Any]:
        client = self.client()
        found = client.search_logged_models([client.get_experiment_by_name("toy").experiment_id])
        return [model for model in found if model.tags["arm"] == "cosface"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, furnished: Callable[[Path], Path]) -> Trained:
    study = parse_study(FILE)
    folder = StudyFolder(furnished(tmp_path_factory.mktemp("home")), "toy")
    folder.begin(study.resolved_yaml)
    (folder.home / "toy_images.py").write_text(IMAGES)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder.home))
        data = load_trial_data(study.spec.data, folder.datasets, CPU)
    settings = TrialSettings.from_json(study.trial_settings("cosface", "default", {}).to_json())
    for seed in (101, 102):
        asked = TrialRequest(
            arm="cosface", condition="default", phase="confirm", search_seed=0, number=seed, seed=seed, params={}
        )
        run = TrialRun(asked, settings, folder, data, CPU, Objective(name="val/tar_at_far_1e-2"))
        assert run.run_epoch().result.status == "completed"
    return Trained(study, folder)


def trial(arm: str, number: int, objective: float, **changes: Any) -> dict[str, Any]:
    row = {"study": "toy", "arm": arm, "condition": "default", "phase": "confirm", "status": "completed"}
    return row | {"trial_id": f"{arm}.{number}", "objective": objective, "number": number} | changes


def test_the_best_is_chosen_by_validation_and_never_by_the_test_identities(tmp_path: Path) -> None:
    study = parse_study(FILE)
    rows = [
        trial("adacos", 1, 0.5),
        trial("cosface", 1, 0.5, **{"test/tar_at_far_1e-2": 0.9}),
        trial("cosface", 3, 0.6),
        trial("cosface", 2, 0.6),
        trial("cosface", 4, 0.8, phase="search"),
        trial("cosface", 5, 0.9, status="diverged"),
    ]
    found = list(tracking.trained_models(StudyFolder(tmp_path, "toy"), study, pd.DataFrame(rows)))
    assert [model.row["trial_id"] for model in found] == ["cosface.2", "adacos.1"]
    assert [(model.confirmed, model.planned) for model in found] == [(4, 3), (1, 3)]
    assert [model.name for model in found] == ["model", "model"]


def test_conditions_have_a_model_each_and_picking_one_takes_its_name(tmp_path: Path) -> None:
    study = parse_study(FILE.replace("arms:", "conditions: {model.embedding_dim: [8, 16]}\narms:"))
    places = [condition.id for condition in study.conditions()]
    rows = [trial("cosface", number, 0.5, condition=place) for number, place in enumerate(places)]
    found = list(tracking.trained_models(StudyFolder(tmp_path, "toy"), study, pd.DataFrame(rows)))
    assert [(model.name, model.condition.model.embedding_dim) for model in found] == [
        ("model-embedding_dim-8", 8),
        ("model-embedding_dim-16", 16),
    ]
    assert tracking.pick_model(found, study, "cosface", "embedding_dim-16") == found[1]
    assert found[1].registered_name == "toy-cosface-embedding_dim-16"
    for given, message in (
        (("cosfac", None), r"no arm 'cosfac'; did you mean 'cosface'\? \(arms: cosface, adacos\)"),
        (("cosface", "embedding_dim-32"), "no condition 'embedding_dim-32'; did you mean 'embedding_dim-"),
        (("cosface", None), "has 2 conditions; name one of them: embedding_dim-8, embedding_dim-16"),
        (("adacos", "embedding_dim-8"), "'adacos' of study 'toy' has no model in condition 'embedding_dim-8'"),
    ):
        with pytest.raises(InputError, match=message):
            tracking.pick_model(found, study, *given)


def test_free_points_are_no_model(tmp_path: Path) -> None:
    text = FILE.replace("{train: 4, val: 4, test: 4}", "{train: 4, val: 0, test: 0}, samples: 4")
    text = (
        text.replace("width: 4,", "name: free,")
        .replace('"toy_images:of_twelve"', "free")
        .replace("seeds: 3", "seeds: 0")
    )
    text = text.replace("s: 12, m: 0.2", "grid: {s: [8, 16]}, m: 0.2").replace("  adacos: {loss: adacos}", "")
    study = parse_study(text)
    rows = pd.DataFrame([trial("cosface", 1, 0.5)])
    assert not list(tracking.trained_models(StudyFolder(tmp_path, "toy"), study, rows))
    with pytest.raises(InputError, match="is a survey"):
        tracking.pick_model([], study, "cosface")


def test_a_fresh_process_embeds_as_the_trained_network_did(trained: Trained, tmp_path: Path) -> None:
    [model] = trained.models
    background = tracking.BackgroundTracker(trained.tracker)
    background.model_finished(model)
    assert background.close(60.0) == ()
    trained.tracker().model_finished(model)
    [logged] = trained.logged()
    assert (logged.name, logged.model_type, str(logged.status)) == ("model", "embedder", "READY")

    state = torch.load(trained.folder.keep_file(model.row["trial_id"], "weights.pt"), weights_only=True)
    network = build_model(trained.study.spec.model, channels=3, image_size=16, generator=torch.Generator())
    network.load_state_dict(state["model"])
    network.to(memory_format=torch.channels_last)
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 16, 16), dtype=np.uint8)
    expected = F.normalize(embed(network, torch.from_numpy(images))).numpy()

    np.save(tmp_path / "images.npy", images)
    address = tracking.tracking_uri(trained.folder.workplace)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, f"runs:/{logged.source_run_id}/model", "images.npy", "embeddings.npy"],
        cwd=tmp_path, env=os.environ | {"MLFLOW_TRACKING_URI": address}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "embeddings.npy"), expected)
    inputs, example, metadata = json.loads(done.stdout.splitlines()[-1])
    assert inputs == "[Tensor('uint8', (-1, 3, 16, 16))]"
    assert example == [1, 3, 16, 16]
    assert metadata["trial"] == model.row["trial_id"]
    assert metadata["chosen_by"].startswith("val/tar_at_far_1e-2 = ")
    run = trained.client().get_run(logged.source_run_id)
    assert run.data.tags["hpstudy.key"] == "toy:cosface"
    assert [output.model_id for output in run.outputs.model_outputs] == [logged.model_id]
    assert run.data.metrics["model/val/tar_at_far_1e-2"] == model.row["objective"]
    assert {path.suffix for path in (trained.folder.home / "mlartifacts" / "models").rglob("*.*")} <= {
        ".json", ".yaml", ".txt", ".pt",
    }  # fmt: skip


def test_a_delivery_that_was_cut_off_is_completed(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    [model] = trained.models
    model = replace(model, row={**model.row, "attempt": 2})
    tracker = trained.tracker()
    with monkeypatch.context() as cut:
        cut.setattr(MlflowClient, "log_model_artifacts", _refuse)
        with pytest.raises(RuntimeError):
            tracker.model_finished(model)
    [pending] = trained.logged()
    assert str(pending.status) == "PENDING"
    trained.tracker().model_finished(model)
    [logged] = trained.logged()
    assert (logged.model_id, str(logged.status)) == (pending.model_id, "READY")
    assert logged.tags["hpstudy.result"] == model.result


def _refuse(*given: Any, **named: Any) -> None:
    raise RuntimeError("cut off")


def test_the_same_model_is_registered_once(trained: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    home = str(trained.folder.home)
    for _ in range(2):
        done = CliRunner().invoke(app, ["register", "toy", "cosface", "--home", home, "--json"])
        assert done.exit_code == 0, done.output
        told = json.loads(done.stdout.splitlines()[-1])
        assert (told["name"], told["version"], told["uri"]) == ("toy-cosface", "1", "models:/toy-cosface/1")
        assert "asks for 3 confirm trials: register again" in done.stderr
    client = trained.client()
    [version] = client.search_model_versions("name = 'toy-cosface'")
    [logged] = trained.logged()
    assert version.source == logged.artifact_location
    assert version.run_id == logged.source_run_id
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "toy-cosface", "version": "1"}]
    assert trained.tracker().register(trained.models[0], "another") == "1"
    assert not list(tmp_path.iterdir()), "MLflow fell back on a database in the working directory"
    with pytest.raises(InputError, match="'a/b' can't be the name of a registered model"):
        trained.tracker().register(trained.models[0], "a/b")
    wrong = CliRunner().invoke(app, ["register", "toy", "cosfase", "--home", home])
    assert "did you mean 'cosface'?" in str(wrong.exception)


def test_a_better_trial_takes_the_place_of_the_model_and_not_of_its_version(trained: Trained) -> None:
    [model] = trained.models
    assert trained.tracker().register(model, "succession") == "1"
    later = replace(model, row={**model.row, "attempt": 7})
    assert trained.tracker().register(later, "succession") == "2"
    [logged] = trained.logged()
    assert logged.tags["hpstudy.result"] == later.result
    first = trained.client().get_model_version("succession", "1")
    assert (Path(first.source.removeprefix("file://")) / "MLmodel").is_file()


def test_weights_that_are_gone_are_told_and_fail_nothing(
    trained: Trained, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    [model] = trained.models
    gone = replace(model, folder=StudyFolder(tmp_path, "toy"), row={**model.row, "attempt": 9})
    trained.tracker().model_finished(gone)
    assert "is not logged as a model: its weights are gone" in caplog.text
    with pytest.raises(InputError, match="has no weights that a model can be made of"):
        trained.tracker().register(gone, "gone")
