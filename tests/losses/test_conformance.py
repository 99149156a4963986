"""Every loss of the catalogue, and every margin with every scale, against the suites."""

import itertools
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.catalog import LOSSES, MARGINS
from hpstudy.losses import (
    MARGIN_CLASSES,
    SCALE_CLASSES,
    HeadOutput,
    TargetMargin,
    batch_cosines,
    build_head,
    build_head_from_parts,
    head_statistics,
)
from hpstudy.testing import BuildHead, CosineHeadSuite, HeadSuite, MarginSuite

NAMED = {(info.margin, info.scale) for info in LOSSES.values()}
UNNAMED = [parts for parts in itertools.product(MARGIN_CLASSES, SCALE_CLASSES) if parts not in NAMED]
WITH_STRENGTH = [name for name, info in MARGINS.items() if "m" in info.parameters]


class TestNamedLosses(CosineHeadSuite):
    @pytest.fixture(params=LOSSES)
    def build_head(self, request: pytest.FixtureRequest) -> BuildHead:
        return lambda num_classes, embedding_dim: build_head(
            request.param,
            num_classes=num_classes,
            embedding_dim=embedding_dim,
            generator=torch.Generator().manual_seed(0),
        )


class TestEveryOtherMarginWithEveryScale(CosineHeadSuite):
    @pytest.fixture(params=UNNAMED, ids=["+".join(parts) for parts in UNNAMED])
    def build_head(self, request: pytest.FixtureRequest) -> BuildHead:
        margin, scale = request.param
        return lambda num_classes, embedding_dim: build_head_from_parts(
            {"name": margin},
            {"name": scale},
            num_classes=num_classes,
            embedding_dim=embedding_dim,
            generator=torch.Generator().manual_seed(0),
        )


class TestMargins(MarginSuite):
    @pytest.fixture(params=[0.02, 0.3, 1.0])
    def share(self, request: pytest.FixtureRequest) -> float:
        """Where between its neutral value and its hard limit the margin stands."""
        return float(request.param)

    @pytest.fixture(params=WITH_STRENGTH)
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def margin(self, name: str, share: float) -> TargetMargin:
        strength = MARGINS[name].parameters["m"]
        return target_margin(name, m=strength.minimum + share * (strength.maximum - strength.minimum))

    @pytest.fixture
    def no_effect(self, name: str) -> TargetMargin:
        return target_margin(name, m=MARGINS[name].parameters["m"].minimum)


class TestNoMargin(MarginSuite):
    @pytest.fixture
    def margin(self) -> TargetMargin:
        return target_margin("none")

    no_effect = margin


class TestDetachedClampedAngle(MarginSuite):
    @pytest.fixture
    def margin(self) -> TargetMargin:
        return target_margin("additive_angle", m=0.5, gradient="detached", past_pi="clamp")

    @pytest.fixture
    def no_effect(self) -> TargetMargin:
        return target_margin("additive_angle", m=0.0, gradient="detached", past_pi="clamp")


class TemperedSoftmax(nn.Module):
    """A loss that knows nothing of margins and scales, and initialises from torch's global generator."""

    def __init__(self, num_classes: int, embedding_dim: int, *, temperature: float) -> None:
        super().__init__()
        self.classifier = nn.Linear(embedding_dim, num_classes, bias=False)
        self.temperature = temperature

    def forward(self, embeddings: Tensor, labels: Tensor) -> HeadOutput:
        with torch.autocast("cpu", enabled=False):
            cosines = batch_cosines(embeddings, self.classifier.weight, labels).all_NC
            logits = cosines / self.temperature
            return HeadOutput(
                loss=F.cross_entropy(logits, labels),
                statistics=head_statistics(cosines, labels, torch.tensor(1.0 / self.temperature)),
                cosines=cosines.detach(),
                compute_logits=lambda: logits,
            )


class TestUsersOwnLoss(HeadSuite):
    """A head from outside needs a builder and nothing else."""

    @pytest.fixture
    def build_head(self, monkeypatch: pytest.MonkeyPatch) -> BuildHead:
        module = ModuleType("their_losses")
        module.TemperedSoftmax = TemperedSoftmax
        monkeypatch.setitem(sys.modules, "their_losses", module)
        return lambda num_classes, embedding_dim: build_head(
            "their_losses:TemperedSoftmax",
            num_classes=num_classes,
            embedding_dim=embedding_dim,
            generator=torch.Generator().manual_seed(3),
            temperature=0.1,
        )


def target_margin(name: str, **params: Any) -> TargetMargin:
    margin = MARGIN_CLASSES[name](**params)
    assert isinstance(margin, TargetMargin)
    return margin
