"""The suite that `python -m hpstudy.testing` runs; collected by that command alone."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from hpstudy.losses import build_head
from hpstudy.testing._head_suite import BuildHead, HeadSuite


class LossPlugin:
    """Tells the suite which loss it is run for.

    Args:
        name: As of `build_head`.
        params: Parameters and options.
    """

    def __init__(self, name: str, params: Mapping[str, Any]) -> None:
        self._name = name
        self._params = params

    @pytest.fixture
    def build_head(self) -> BuildHead:
        """The loss, the same at each call."""
        return lambda num_classes, embedding_dim: build_head(
            self._name,
            num_classes=num_classes,
            embedding_dim=embedding_dim,
            generator=torch.Generator().manual_seed(0),
            **self._params,
        )


class TestLoss(HeadSuite):
    """Every promise of a head."""
