"""What a device is asked to compute in."""

import pytest
import torch

from hpstudy.exceptions import InputError
from hpstudy.training import pick_device
from hpstudy.training._devices import Precision


@pytest.mark.parametrize(
    ("asked", "native", "computes_in"),
    [
        ("auto", True, "bfloat16"),
        ("auto", False, "float32"),
        ("float32", True, "float32"),
        ("bfloat16", True, "bfloat16"),
    ],
)
def test_precision_on_a_gpu(monkeypatch: pytest.MonkeyPatch, asked: str, native: bool, computes_in: str) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert str(Precision.of(asked, torch.device("cuda"))) == computes_in


def test_emulated_bfloat16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: including_emulation)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Old GPU")
    with pytest.raises(
        InputError, match=r"training.precision is bfloat16, which Old GPU does not have: set it to float32"
    ):
        Precision.of("bfloat16", torch.device("cuda"))


@pytest.mark.parametrize(("asked", "computes_in"), [("auto", "float32"), ("bfloat16", "bfloat16")])
def test_precision_on_the_cpu(asked: str, computes_in: str) -> None:
    assert str(Precision.of(asked, torch.device("cpu"))) == computes_in


def test_a_gpu_that_torch_does_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match=r"was given 0.5 GPU, but torch .* sees none"):
        pick_device(0.5)
