"""A step in micro-batches is that of the whole batch."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from hpstudy.losses import build_head
from hpstudy.record import StudyFolder, TrialRequest
from hpstudy.spec import parse_study
from hpstudy.training import MicroBatches, Objective, Stepping, TrialRun, WholeBatch, load_trial_data
from hpstudy.training._devices import Precision

CPU = torch.device("cpu")
FULL = Precision.of("auto", CPU)
SAMPLES, FEATURES, DIM, CLASSES = 22, 10, 6, 9
PARTS = MicroBatches(parts=4, peak_mb=12.0)
LOSSES = {
    "cosface": {"s": 12.0, "m": 0.2},
    "adacos": {},
    "adaface": {},
    "curricularface": {},
    "magface": {},
    "sphereface2": {},
}


def network(*more: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    made = nn.Sequential(nn.Linear(FEATURES, 12), *more, nn.Tanh(), nn.Linear(12, DIM)).double()
    for parameter in made.parameters():
        parameter.data.normal_(generator=generator)
    return made


def train(stepping: Stepping, model: nn.Module, head: nn.Module, steps: int = 3) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(5)
    optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.05, momentum=0.9)
    seen = []
    for _ in range(steps):
        inputs = torch.randn(SAMPLES, FEATURES, dtype=torch.float64, generator=generator)
        labels = torch.randint(CLASSES, (SAMPLES,), generator=generator)
        optimizer.zero_grad()
        going = stepping.forward(model, head, inputs, labels, FULL)
        going.backward()
        gradients = {name: value.grad.clone() for name, value in [*model.named_parameters(), *head.named_parameters()]}
        optimizer.step()
        seen.append({"loss": going.output.loss.detach(), **going.output.statistics, **gradients})
    return seen


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_statistics_scale_and_gradients_are_those_of_the_whole_batch(loss: str) -> None:
    steps = []
    for stepping in (WholeBatch(), PARTS):
        generator = torch.Generator().manual_seed(1)
        head = build_head(loss, num_classes=CLASSES, embedding_dim=DIM, generator=generator, **LOSSES[loss]).double()
        steps.append(train(stepping, network(), head))
    for whole, parts in zip(*steps, strict=True):
        assert whole.keys() == parts.keys()
        for name, value in whole.items():
            torch.testing.assert_close(parts[name], value, rtol=1e-9, atol=1e-11, msg=name)


class Recorder(nn.Module):
    """Remembers the masks that dropout drew."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.masks: list[torch.Tensor] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        dropped = self.dropout(inputs)
        self.masks.append(dropped.detach() == 0)
        return dropped


def test_dropout_repeats_itself_on_the_way_back_and_goes_on_afterwards() -> None:
    recorder = Recorder()
    torch.manual_seed(0)
    train(PARTS, network(recorder), build_head("adacos", num_classes=CLASSES, embedding_dim=DIM).double(), steps=2)
    first, again, second = (torch.cat(recorder.masks[4 * k : 4 * k + 4]) for k in range(3))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_running_statistics_move_once() -> None:
    models = []
    for twice in (False, True):
        model = network(nn.BatchNorm1d(12).double())
        head = build_head("adacos", num_classes=CLASSES, embedding_dim=DIM).double()
        if twice:
            train(PARTS, model, head, steps=1)
        else:
            inputs = torch.randn(SAMPLES, FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
            for part in inputs.chunk(4):
                model(part)
        models.append(model)
    for name, buffer in models[0].named_buffers():
        torch.testing.assert_close(dict(models[1].named_buffers())[name], buffer, msg=name)
    assert int(models[1][1].num_batches_tracked) == 4


STUDY = """
version: 1
name: toy
question: Which?
data: {identities: {train: 12, val: 8, test: 8}}
model: {name: "tests_plain_model:Plain", embedding_dim: 16}
training: {epochs: 3, batch_size: 32, optimizer: {name: sgd, lr: 0.05}}
arms: {adacos: {loss: adacos}}
search: {objective: val/tar_at_far_1e-2}
"""
PLAIN = """
from torch import nn

class Plain(nn.Sequential):
    largest = 0
    def __init__(self, channels, image_size, width, embedding_dim):
        super().__init__(nn.Flatten(), nn.Linear(channels * image_size**2, 32), nn.Tanh(), nn.Linear(32, embedding_dim))

    def forward(self, images):
        Plain.largest = max(Plain.largest, len(images))
        return super().forward(images)
"""


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[TrialRun, StudyFolder]]:
    (tmp_path / "tests_plain_model.py").write_text(PLAIN)
    monkeypatch.syspath_prepend(tmp_path)
    study = parse_study(STUDY)
    data = load_trial_data(study.spec.data, tmp_path / "datasets", CPU)
    asked = TrialRequest(arm="adacos", condition="default", phase="search", search_seed=0, number=0, seed=0, params={})
    settings = study.trial_settings("adacos", "default", {})

    def made(home: str, stepping: Stepping | None = None) -> tuple[TrialRun, StudyFolder]:
        folder = StudyFolder(tmp_path / home, "toy")
        objective = Objective(name="val/tar_at_far_1e-2")
        return TrialRun(asked, settings, folder, data, CPU, objective, stepping=stepping), folder

    return made


def test_a_trial_in_micro_batches_says_so_and_goes_on_in_them(
    make_run: Callable[..., tuple[TrialRun, StudyFolder]],
) -> None:
    import tests_plain_model

    whole, folder_whole = make_run("whole")
    while not (expected := whole.run_epoch()).ended:
        pass
    first, folder = make_run("parts", PARTS)
    tests_plain_model.Plain.largest = 0
    cut_off = first.run_epoch()
    note = "in 4 micro-batches a step after running out of memory at 12 MiB"
    assert cut_off.result.cause == f"stopped early after epoch 1; {note}"
    second, _ = make_run("parts")  # another worker, which has heard of no trouble
    while not (report := second.run_epoch()).ended:
        pass
    assert (report.result.status, report.result.cause) == ("completed", note)
    assert tests_plain_model.Plain.largest == 128, "validation embeds fewer images at a time"
    assert expected.result.cause == ""
    trial = expected.result.trial_id
    found, wanted = (each.trajectory(trial).drop(columns="samples_per_s") for each in (folder, folder_whole))
    assert list(found["step"]) == list(wanted["step"])
    for name in wanted:
        torch.testing.assert_close(
            torch.tensor(found[name].to_numpy()), torch.tensor(wanted[name].to_numpy()), rtol=2e-3, atol=2e-4, msg=name
        )
