"""Verification against a reference that holds every score."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpstudy.evaluation import far_label, tar_metric, verification
from hpstudy.exceptions import InputError


def slow_verification(embeddings: np.ndarray, identities: np.ndarray, far: float) -> tuple[float, float, int, int]:
    """TAR, threshold, genuine and impostor pairs, by trying every score as the threshold."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    genuine, impostor = [], []
    for i, j in itertools.combinations(range(len(unit)), 2):
        (genuine if identities[i] == identities[j] else impostor).append(float(unit[i] @ unit[j]))
    allowed = math.floor(Fraction(repr(far)) * len(impostor))
    threshold = min(t for t in impostor if sum(score > t for score in impostor) <= allowed)
    return sum(score > threshold for score in genuine) / len(genuine), threshold, len(genuine), len(impostor)


def clustered(num_identities: int, per_identity: int, dim: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    identities = torch.arange(num_identities * per_identity) % num_identities
    centres = torch.randn(num_identities, dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(len(identities), dim, generator=generator, dtype=torch.float64)
    return centres[identities] + noise, identities


def tied(num_rows: int, seed: int) -> torch.Tensor:
    """Rows of ±1/2 in four of eight places: unit norm and products that are multiples of 1/4, exactly."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.rand(num_rows, 8, generator=generator).argsort(1) < 4
    signs = torch.randint(2, (num_rows, 8), generator=generator) * 2.0 - 1.0
    return 0.5 * signs * places


@pytest.mark.parametrize("block_size", [1, 7, 16, 1000])
@pytest.mark.parametrize("far", [0.5, 0.1, 0.01, 0.003])
def test_equals_the_reference(far: float, block_size: int) -> None:
    embeddings, identities = clustered(8, 6, 5, seed=0)
    result = verification(embeddings, identities, fars=[far], block_size=block_size)
    tar, threshold, num_genuine, num_impostor = slow_verification(embeddings.numpy(), identities.numpy(), far)
    assert result.tar[far] == tar
    assert result.thresholds[far] == pytest.approx(threshold, abs=1e-12)
    assert (result.num_genuine, result.num_impostor) == (num_genuine, num_impostor)


@settings(max_examples=60, deadline=None)
@given(
    identities=st.lists(st.integers(-3, 3), min_size=4, max_size=24),
    far=st.floats(0.02, 0.9),
    block_size=st.integers(1, 30),
    seed=st.integers(0, 10_000),
    order=st.randoms(use_true_random=False),
)
def test_equals_the_reference_with_ties_in_any_order_and_block(
    identities: list[int], far: float, block_size: int, seed: int, order: object
) -> None:
    embeddings, labels = tied(len(identities), seed), torch.tensor(identities)
    same = int((labels[:, None] == labels).triu(1).sum())
    num_impostor = len(identities) * (len(identities) - 1) // 2 - same
    assume(same > 0 and num_impostor * far >= 1)
    tar, threshold, _, _ = slow_verification(embeddings.numpy(), labels.numpy(), far)
    permutation = torch.randperm(len(identities), generator=torch.Generator().manual_seed(order.randrange(2**31)))
    result = verification(embeddings[permutation], labels[permutation], fars=[far], block_size=block_size)
    assert result.tar[far] == tar
    assert result.thresholds[far] == threshold


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), block_size=st.integers(1, 80), factor=st.floats(1e-3, 1e3))
def test_blocks_and_norms_do_not_matter(seed: int, block_size: int, factor: float) -> None:
    embeddings, identities = clustered(10, 5, 6, seed=seed)
    whole = verification(embeddings, identities, fars=(0.1, 0.01), block_size=1000)
    blocks = verification(embeddings * factor, identities, fars=(0.1, 0.01), block_size=block_size)
    assert blocks.tar == pytest.approx(whole.tar, abs=1e-12)
    assert blocks.thresholds == pytest.approx(whole.thresholds, abs=1e-12)


def test_cut_off_drops_nothing_that_matters() -> None:
    """Many small tiles, several FARs, far more impostors than are kept."""
    embeddings, identities = clustered(60, 5, 8, seed=3)
    fars = (0.05, 0.01, 1e-3, 1e-4)
    result = verification(embeddings, identities, fars=fars, block_size=13)
    unit = torch.nn.functional.normalize(embeddings)
    scores, once = unit @ unit.T, torch.ones(300, 300, dtype=torch.bool).triu(1)
    impostor = scores[once & (identities[:, None] != identities)].sort(descending=True).values
    for far in fars:
        rank = math.floor(Fraction(repr(far)) * len(impostor))
        assert result.thresholds[far] == pytest.approx(impostor[rank].item(), abs=1e-12)
    assert list(result.tar.values()) == sorted(result.tar.values(), reverse=True)


def test_share_of_impostors_is_exact_in_decimals() -> None:
    """0.29 · 100 is 28.999… in binary, but 29 impostors are what a FAR of 0.29 allows of 100."""
    embeddings, _ = clustered(20, 1, 6, seed=2)
    result = verification(embeddings, torch.arange(20) % 2, fars=[0.29])
    unit = torch.nn.functional.normalize(embeddings)
    impostor = (unit[0::2] @ unit[1::2].T).flatten().sort(descending=True).values
    assert result.num_impostor == 100
    assert result.thresholds[0.29] == pytest.approx(impostor[29].item(), abs=1e-12)


def test_all_impostors_tied_above_every_genuine() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    result = verification(embeddings, torch.tensor([0, 0, 1, 1]), fars=[0.5])
    assert result.tar[0.5] == 0.0
    assert result.thresholds[0.5] == 0.0


def test_separated_identities_are_all_accepted() -> None:
    embeddings = torch.eye(5).repeat_interleave(4, 0)
    result = verification(embeddings.bfloat16(), torch.arange(5).repeat_interleave(4), fars=[0.01, 0.1])
    assert result.tar == {0.01: 1.0, 0.1: 1.0}
    assert (result.num_genuine, result.num_impostor) == (30, 160)


def test_one_score_for_everything_accepts_nothing() -> None:
    result = verification(torch.ones(12, 3), torch.arange(12) % 4, fars=[0.1])
    assert result.tar == {0.1: 0.0}
    assert verification(torch.zeros(12, 3), torch.arange(12) % 4, fars=[0.1]).tar == {0.1: 0.0}


def test_autocast_changes_nothing() -> None:
    embeddings, identities = clustered(8, 6, 5, seed=1)
    plain = verification(embeddings.float(), identities, fars=[0.01])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert verification(embeddings.float(), identities, fars=[0.01]) == plain


@pytest.mark.parametrize(
    ("far", "label"),
    [(1e-2, "1e-2"), (0.001, "1e-3"), (1e-4, "1e-4"), (2.5e-4, "2.5e-4"), (0.5, "5e-1"), (0.0125, "1.25e-2")],
)
def test_metric_names(far: float, label: str) -> None:
    assert far_label(far) == label
    assert tar_metric(far) == f"tar_at_far_{label}"


def test_metrics_carry_their_prefix() -> None:
    embeddings, identities = clustered(20, 6, 5, seed=1)
    result = verification(embeddings, identities, fars=[1e-2, 1e-3])
    assert result.as_metrics("val") == {
        "val/tar_at_far_1e-2": result.tar[1e-2],
        "val/tar_at_far_1e-3": result.tar[1e-3],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"fars": [1e-4]},
            r"a FAR must be at least 1/num_impostor, but got 0\.0001 with 54 impostor pairs \(at least 0\.0185\)",
        ),
        ({"fars": [1.0]}, r"a FAR must lie in \(0, 1\), but got 1\.0"),
        ({"fars": []}, "fars must name at least one"),
        ({"identities": torch.zeros(12, dtype=torch.int64)}, "66 genuine and 0 impostor pairs"),
        ({"identities": torch.arange(12)}, "0 genuine and 66 impostor pairs"),
        ({"identities": torch.arange(11)}, r"identities must be \(12,\)"),
        ({"identities": torch.zeros(12)}, "of an integer type"),
        ({"embeddings": torch.ones(12, 3).index_fill(0, torch.tensor([2, 5]), torch.nan)}, "finite, but 2 of 12 rows"),
        ({"embeddings": torch.ones(12)}, r"embeddings must be \(N, K\)"),
        ({"block_size": 0}, "block_size must be at least 1"),
    ],
)
def test_what_cannot_be_judged_is_refused(change: dict[str, object], message: str) -> None:
    given_all = {"embeddings": torch.ones(12, 3), "identities": torch.arange(12) % 4, "fars": [0.1]} | change
    with pytest.raises(InputError, match=message):
        verification(**given_all)
