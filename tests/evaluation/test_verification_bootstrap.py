"""Bootstrap samples of the identities against samples that are really built."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from hpstudy.evaluation import draw_identities, verification, verification_replicates
from hpstudy.exceptions import InputError

FARS = (0.1, 0.02)


def people(num: int, images: list[int], *, seed: int, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    identities = torch.arange(num).repeat_interleave(torch.tensor(images))
    centres = torch.randn(num, 6, generator=generator, dtype=torch.float64)
    noise = torch.randn(len(identities), 6, generator=generator, dtype=torch.float64)
    return centres[identities] + spread * noise, identities


def built(embeddings: torch.Tensor, identities: torch.Tensor, counts: torch.Tensor, far: float) -> float:
    """TAR of the set in which identity g stands counts[g] times, every copy a body of its own."""
    unit = torch.nn.functional.normalize(embeddings).numpy()
    names = identities.numpy()
    copies = [(g, copy) for g, count in enumerate(counts.tolist()) for copy in range(count)]
    genuine: list[float] = []
    impostor: list[float] = []
    for g, _ in copies:
        genuine += [float(unit[i] @ unit[j]) for i, j in itertools.combinations(np.flatnonzero(names == g), 2)]
    for (g, _), (h, _) in itertools.combinations(copies, 2):
        if g != h:
            impostor += (unit[names == g] @ unit[names == h].T).flatten().tolist()
    if not genuine or not impostor:
        return math.nan
    allowed = math.floor(Fraction(repr(far)) * len(impostor))
    threshold = sorted(impostor, reverse=True)[allowed]
    return sum(score > threshold for score in genuine) / len(genuine)


@pytest.mark.parametrize("block_size", [3, 16, 1000])
def test_equals_samples_that_are_built(block_size: int) -> None:
    embeddings, identities = people(7, [4, 1, 5, 3, 4, 2, 6], seed=0)
    counts = draw_identities(7, 20, torch.Generator().manual_seed(1))
    found = verification_replicates(embeddings, identities, counts, fars=FARS, block_size=block_size)
    for far in FARS:
        expected = [built(embeddings, identities, row, far) for row in counts]
        np.testing.assert_allclose(found[far].numpy(), expected, rtol=0, atol=1e-12)


def test_everybody_once_is_the_whole_set() -> None:
    embeddings, identities = people(12, [5] * 12, seed=2)
    shuffled = torch.randperm(len(identities), generator=torch.Generator().manual_seed(0))
    whole = verification(embeddings, identities, fars=FARS)
    once = torch.ones(1, 12, dtype=torch.int64)
    found = verification_replicates(embeddings[shuffled], 3 * identities[shuffled] - 4, once, fars=FARS)
    assert {far: float(tar) for far, tar in found.items()} == pytest.approx(dict(whole.tar), abs=1e-12)


def test_a_sample_without_pairs_is_no_number() -> None:
    embeddings, identities = people(3, [1, 2, 3], seed=3)
    counts = torch.tensor([[3, 0, 0], [0, 0, 3], [1, 1, 1]])
    found = verification_replicates(embeddings, identities, counts, fars=[0.5])[0.5]
    assert found.isnan().tolist() == [True, True, False]


def test_a_lower_threshold_than_was_kept_is_found() -> None:
    """A sample full of look-alikes needs many more impostor scores than the whole set."""
    embeddings, identities = people(40, [3] * 40, seed=4)
    embeddings[:30] = embeddings[0] + 0.01 * embeddings[:30]  # the first ten are nearly one person
    counts = torch.zeros(1, 40, dtype=torch.int64)
    counts[0, :10] = 4
    found = verification_replicates(embeddings, identities, counts, fars=[0.01])[0.01]
    assert float(found) == pytest.approx(built(embeddings, identities, counts[0], 0.01), abs=1e-12)


def test_counts_are_samples_with_replacement() -> None:
    counts = draw_identities(50, 4000, torch.Generator().manual_seed(0)).double()
    assert counts.sum(1).eq(50).all()
    assert counts.mean(0).sub(1).abs().max() < 5 * math.sqrt(0.98 / 4000)
    assert counts.var(0).mean() == pytest.approx(0.98, abs=0.02)
    assert torch.equal(counts, draw_identities(50, 4000, torch.Generator().manual_seed(0)).double())


def test_spread_is_that_of_new_identities() -> None:
    """The spread of replicates is the spread of TAR over sets of other people, which pairs taken alone understate."""
    tars, spreads = [], []
    for seed in range(60):
        embeddings, identities = people(60, [4] * 60, seed=100 + seed, spread=0.7)
        tars.append(verification(embeddings, identities, fars=[0.05]).tar[0.05])
        if seed < 12:
            counts = draw_identities(60, 200, torch.Generator().manual_seed(seed))
            spreads.append(float(verification_replicates(embeddings, identities, counts, fars=[0.05])[0.05].std()))
    true = float(np.std(tars, ddof=1))
    assert np.mean(spreads) == pytest.approx(true, rel=4 / math.sqrt(2 * 60))
    rate = float(np.mean(tars))
    assert true > 1.3 * math.sqrt(rate * (1 - rate) / 360)  # of 360 independent pairs


def test_refuses_what_verification_refuses() -> None:
    embeddings, identities = people(4, [3] * 4, seed=0)
    with pytest.raises(InputError, match="at least 1/num_impostor"):
        verification_replicates(embeddings, identities, torch.ones(1, 4, dtype=torch.int64), fars=[1e-6])
