"""Whole studies whose truth is known, many at once: a model of searching and training, and the record that it leaves.

A trial of arm a with training seed i at the point x shows, on the validation identities,

    worth_a(x) + seed_i + (arm × seed)_ai + rest,

and on the test identities the same with another rest. All three are normal. `seed` is shared by every arm at that seed,
`arm × seed` by all points of one arm at that seed; neither averages out over searches. The worth is a hill over the
square [−1, 1]², of which s is the first coordinate and m the second. A search draws points, at random or half of the
time near the best so far; beyond a scale every trial diverges, anywhere else it does with the arm's `risk`.

Every study of a draw is one condition of the table, so that intervals of hundreds of studies take one call. What is
adjusted over a whole table (Holm) needs a call a study: `Drawn.studies`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpstudy.analysis import StudyFacts

Array = NDArray[np.float64]
OBJECTIVE, METRIC, CHANCE = "val/tar_at_far_1e-3", "test/tar_at_far_1e-3", 1e-3
LR = "training.optimizer.lr"
FIRST_SEED = 101


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm: a hill over the square, or with infinite widths the same worth everywhere."""

    name: str
    loss: str = "cosface"
    top: float = 0.8
    foot: float = 0.3
    widths: tuple[float, float] = (np.inf, np.inf)
    trials: int = 4
    """Of one search; 0 for an arm that has none."""
    searches: int = 1
    cliff: float = np.inf
    """First coordinate beyond which a trial diverges."""
    risk: float = 0.0
    """Probability that a confirm trial diverges."""

    def worth(self, x: Array) -> Array:
        """True score at points (…, 2), if training goes well."""
        slope = ((x / np.array(self.widths)) ** 2).sum(axis=-1)
        return np.asarray(self.foot + (self.top - self.foot) * np.exp(-slope / 2))

    @property
    def adapts(self) -> bool:
        return self.loss.startswith("adacos")


@dataclass(frozen=True)
class Search:
    """Searches of one arm, arrays (studies, searches, trials)."""

    x: Array
    worth: Array
    seen: Array
    status: NDArray[np.str_]

    def holder(self) -> NDArray[np.intp]:
        """Index of the best completed trial among the first n, for every n; −1 where none has completed."""
        value = np.where(self.status == "completed", self.seen, -np.inf)
        best = np.maximum.accumulate(value, axis=-1)
        before = np.concatenate([np.full_like(best[..., :1], -np.inf), best[..., :-1]], axis=-1)
        is_new = best > before
        return np.maximum.accumulate(np.where(is_new, np.arange(value.shape[-1]), -1), axis=-1)


@dataclass(frozen=True)
class Drawn:
    """The record of several studies, each a condition of the table, and what is true of them."""

    trials: pd.DataFrame
    chosen: dict[str, Array]
    """Expected score of every chosen point on the validation identities, by arm, (studies, searches)."""

    def studies(self) -> Iterator[pd.DataFrame]:
        """One table a study."""
        for _, rows in self.trials.groupby("condition", sort=True):
            yield rows.reset_index(drop=True)


@dataclass(frozen=True, kw_only=True)
class StudyModel:
    """The truth behind a study."""

    arms: tuple[Arm, ...]
    confirm_seeds: int = 5
    seed_std: float = 0.01
    arm_seed_std: float = 0.0
    rest_std: float = 0.005
    gap: float = 0.02
    """How much lower the test identities score."""
    learns: bool = False
    """Whether the sampler goes near the best so far."""
    prunes: bool = False
    """Whether a trial that falls far behind the best so far is stopped early."""
    given: tuple[float, float] | None = None
    """The first point of every search of a tuned arm."""

    @property
    def pair_std(self) -> float:
        """Standard deviation of a paired difference of two points of different arms."""
        return float(np.sqrt(2 * (self.rest_std**2 + self.arm_seed_std**2)))

    def facts(self, margin: float = 0.01) -> StudyFacts:
        """What the words of a verdict need."""
        return StudyFacts(
            name="truth",
            question="What is true?",
            objective=OBJECTIVE,
            equivalence_margin=margin,
            sampler="tpe" if self.learns else "random",
            given_first=[arm.name for arm in self.arms if not arm.adapts] if self.given else [],
        )

    def expected(self, arm: Arm, worth: Array) -> Array:
        """Mean score of confirm trials at points of that worth, divergence included."""
        return np.asarray((1 - arm.risk) * worth + arm.risk * CHANCE)

    def search(self, rng: np.random.Generator, arm: Arm, studies: int, searches: int) -> Search:
        """Independent searches of one arm."""
        shape = (studies, searches)
        x = np.zeros((*shape, arm.trials, 2))
        seen, status = np.zeros(x.shape[:-1]), np.full(x.shape[:-1], "completed", dtype="<U9")
        best, best_x = np.full(shape, -np.inf), np.zeros((*shape, 2))
        for t in range(arm.trials):
            at = rng.uniform(-1, 1, (*shape, 2))
            if self.learns and t > 2:
                close = np.clip(best_x + rng.normal(0, 0.25, at.shape), -1, 1)
                at = np.where(rng.uniform(size=(*shape, 1)) < 0.6, close, at)
            if t == 0 and self.given is not None and not arm.adapts:
                at = np.broadcast_to(self.given, at.shape)
            value = arm.worth(at) + self.rest_std * rng.standard_normal(shape)
            behind = (value < best - 0.1) & self.prunes & (t > 3)
            lost = at[..., 0] > arm.cliff
            x[:, :, t] = at
            seen[:, :, t] = np.where(lost, CHANCE, np.where(behind, 0.7 * value, value))
            status[:, :, t] = np.where(lost, "diverged", np.where(behind, "pruned", "completed"))
            better = (status[:, :, t] == "completed") & (value > best)
            best, best_x = np.where(better, value, best), np.where(better[..., None], at, best_x)
        return Search(x, arm.worth(x), seen, status)

    def curve(self, arm: Arm, studies: int = 20_000, seed: int = 99) -> Array:
        """True expected worth of what a search has chosen after n = 1, 2, … trials, by brute force."""
        search = self.search(np.random.default_rng(seed), arm, studies, 1)
        holder = search.holder()
        worth = np.take_along_axis(self.expected(arm, search.worth), np.maximum(holder, 0), -1)
        return np.asarray(np.where(holder < 0, CHANCE, worth).mean(axis=(0, 1)))

    def level(self, arm: Arm) -> float:
        """True mean of an arm: of its one worth, or of what its searches choose."""
        return float(self.curve(arm)[-1]) if arm.trials else float(self.expected(arm, np.array(arm.top)))

    def n_star(self, tuned: Arm, adaptive: Arm, margin: float) -> float:
        """True break-even budget, ∞ beyond the search."""
        there = np.flatnonzero(self.curve(tuned) >= self.level(adaptive) - margin)
        return float(there[0] + 1) if there.size else np.inf

    def draw(self, rng: np.random.Generator, studies: int) -> Drawn:
        """Runs that many independent studies."""
        seeds = self.confirm_seeds
        lanes = max(arm.searches for arm in self.arms)
        of_lane = self.seed_std * rng.standard_normal((studies, lanes))
        of_seed = self.seed_std * rng.standard_normal((studies, 1, seeds))
        frames, chosen = [], {}
        for arm in self.arms:
            shape = (studies, arm.searches, seeds)
            point, worth = np.zeros((studies, arm.searches, 2)), np.full((studies, arm.searches), arm.top)
            if arm.trials:
                found = self.search(rng, arm, studies, arm.searches)
                own = of_lane[:, : arm.searches] + self.arm_seed_std * rng.standard_normal((studies, arm.searches))
                seen = np.where(found.status == "diverged", found.seen, found.seen + own[..., None])
                frames.append(_rows(arm, "search", found.x, seen, found.status))
                last = found.holder()[..., -1]
                assert (last >= 0).all(), "a search without a completed trial: give it more trials"
                point = np.take_along_axis(found.x, last[..., None, None], axis=2)[:, :, 0]
                worth = np.take_along_axis(found.worth, last[..., None], axis=2)[..., 0]
            shared = worth[..., None] + of_seed + self.arm_seed_std * rng.standard_normal((studies, 1, seeds))
            value, test = (shared + self.rest_std * rng.standard_normal(shape) for _ in range(2))
            diverged = rng.uniform(size=shape) < arm.risk
            status = np.where(diverged, "diverged", "completed")
            points = np.broadcast_to(point[:, :, None], (*shape, 2))
            confirm = _rows(arm, "confirm", points, np.where(diverged, CHANCE, value), status)
            confirm[METRIC] = np.where(diverged, np.nan, test - self.gap).ravel()
            frames.append(confirm)
            chosen[arm.name] = self.expected(arm, worth)
        trials = pd.concat(frames, ignore_index=True)
        return Drawn(trials.sort_values("condition", kind="stable", ignore_index=True), chosen)


def _rows(arm: Arm, phase: str, x: Array, value: Array, status: NDArray[np.str_]) -> pd.DataFrame:
    """Rows of the record from arrays (studies, searches, trials)."""
    study, lane, number = (index.ravel() for index in np.indices(value.shape))
    s, m = (np.full(value.size, np.nan) if arm.adapts else column for column in _coordinates(x))
    number = number + FIRST_SEED * (phase == "confirm")
    columns: dict[str, object] = {
        "trial_id": [f"{arm.name}.{i:04d}.{phase}.s{j}.{k:03d}" for i, j, k in zip(study, lane, number, strict=True)],
        "condition": [f"{i:04d}" for i in study],
        "search_seed": lane,
        "number": number,
        "seed": number if phase == "confirm" else lane,
        "s": s,
        "m": m,
        "status": status.ravel(),
        "objective": value.ravel(),
    }
    if arm.trials:
        columns |= {f"param/{LR}": _coordinates(x)[0] / 64} if arm.adapts else {"param/s": s, "param/m": m}
    same = {"study": "truth", "arm": arm.name, "phase": phase, "loss": arm.loss, "num_classes": 300}
    cost = {"cost/wall_s": 60.0, "cost/cpu_s": 60.0, "cost/gpu_s": 0.0}
    more = {"cause": "", "diverged_step": -1, "epochs": 12, "embedding_dim": 256, "geometry/final_s": 30.0}
    return pd.DataFrame(columns).assign(**same, **cost, **more)


def _coordinates(x: Array) -> tuple[Array, Array]:
    """s in [2, 64], log-uniform, and m in [0, 0.6], of points (…, 2)."""
    return 2 * 32 ** ((x[..., 0].ravel() + 1) / 2), 0.3 * (x[..., 1].ravel() + 1)


def miss(share: float, draws: int) -> float:
    """Three binomial standard errors of a share of that many draws: what a simulation may be off by."""
    return 3 * float(np.sqrt(share * (1 - share) / draws))


ADAPTIVE = Arm(name="dynamic", loss="adacos", trials=0)
"""An adaptive scale without a search, worth 0.8."""
