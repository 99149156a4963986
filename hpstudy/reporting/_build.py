"""From facts to a folder with figures, tables and a PDF."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from hpstudy.analysis import (
    Verdict,
    arm_kinds,
    bound_audit,
    break_even,
    chance_level,
    conditions,
    confirm_by_seed,
    confirm_metric,
    confirm_summary,
    cost_table,
    divergence_rates,
    divergences,
    expected_best,
    metric_name,
    price_headline,
    search_curve,
    search_points,
    settings_table,
    variance_components,
    verdict,
)
from hpstudy.reporting import _tables as tables
from hpstudy.reporting._bounds_figure import bounds_figure
from hpstudy.reporting._facts import ReportFacts
from hpstudy.reporting._forest import difference_forest, forest
from hpstudy.reporting._map_figure import POSTERIOR, map_figure, mapped_arms
from hpstudy.reporting._price_figure import price_figure
from hpstudy.reporting._price_table import compute_unit, price_table
from hpstudy.reporting._search_figure import search_figure
from hpstudy.reporting._style import arm_styles, drawing, save
from hpstudy.reporting._trajectory_figure import trajectory_figure
from hpstudy.reporting._typst import typeset
from hpstudy.theory import cosface_margin_bound, cosface_scale_bound, margin_upper_bound

_PANELS = 3
"""Conditions that share the headline figure and table; more are shown as one row each."""
_MOST_ROWS = 12
_MOST_DIVERGENCES = 20
_ALT = {
    "headline": "Forest plot of the confirm results",
    "means": "Forest plot of the confirm means of every arm",
    "price": "Expected best of n trials of each searched arm, with the adaptive scales as bands",
    "search": "Best validation value so far against trials and epochs",
    "map": "Points of the searches in the plane of scale and margin",
    "trajectories": "Target angle, log B, scale and implied posterior against the step",
    "bounds": "Final scale against CosFace's bound, and margin met against margin",
}


def build_report(facts: ReportFacts, folder: Path) -> Path:
    """Writes `report.pdf` and everything it is made of into `folder`.

    `folder/figures` holds the figures (SVG), `folder/tables` the numbers (CSV), `report.typ` and `report.json` the
    source, from which `typst compile report.typ` makes the same PDF. Equal facts give equal bytes.

    Args:
        facts: What the study was and what came of it.
        folder: Made if missing; figures and tables of an earlier report in it are replaced.

    Returns:
        The PDF.
    """
    for kind, ending in (("figures", "svg"), ("tables", "csv")):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for old in (folder / kind).glob(f"*.{ending}"):
            old.unlink()
    with drawing():
        content = _Report(facts, folder).content()
    return typeset(content, folder)


@dataclass
class _Report:
    """The frames of one report, computed once, and what the template reads of them."""

    facts: ReportFacts
    folder: Path
    figures: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        trials = self.facts.trials
        self.metric = confirm_metric(trials, self.facts.objective)
        self.name, self.objective = metric_name(self.metric), metric_name(self.facts.objective)
        self.kinds = arm_kinds(trials)
        self.styles = arm_styles(self.kinds)
        self.conditions = conditions(trials)
        self.verdict: Verdict = verdict(self.facts.study, trials)
        self.summary = confirm_summary(trials, self.metric)
        self.audit = bound_audit(trials)
        self.diverged = divergences(trials)
        self.cost = cost_table(trials)
        self.curve = search_curve(trials)
        self.points = search_points(trials)
        self.settings = settings_table(trials)
        self.best = expected_best(self.facts.study, trials)
        self.prices = break_even(self.facts.study, trials)

    def content(self) -> dict[str, Any]:
        """Draws the figures, writes the tables, and returns what the template prints."""
        self._write_tables()
        self._headline()
        for condition in self.conditions:
            self._of_condition(condition)
        comparisons, styles = self.verdict.table, self.styles
        first = comparisons if self._is_short else self.verdict.duels
        return {
            "name": self.facts.name,
            "question": self.facts.question,
            "headline": self.verdict.headline,
            "paragraph": self.verdict.paragraph.removeprefix(self.verdict.headline).strip(),
            "price": price_headline(self.verdict.duels, self.prices),
            "facts": self._small_facts(),
            "figures": self.figures,
            "tables": {
                "first": tables.comparison_table(first, styles, self.name).as_json() if len(first) else None,
                "comparisons": None
                if self._is_short or comparisons.empty
                else tables.comparison_table(comparisons, styles, self.name).as_json(),
                "price": price_table(self.prices, styles).as_json() if len(self.prices) else None,
                "arms": tables.arms_table(self.summary, self.settings, styles, self.name).as_json(),
                "cost": tables.cost_rows(self.cost, styles).as_json(),
                "sizes": tables.sizes_table(self._sizes()).as_json(),
                "bounds": tables.bounds_table(self.audit, styles).as_json() if len(self.audit) else None,
                "diverged": tables.divergence_table(self.diverged, styles, _MOST_DIVERGENCES).as_json()
                if len(self.diverged)
                else None,
            },
            "provenance": [[str(key), str(value)] for key, value in self.facts.provenance.items()],
            "sha256": self.facts.sha256,
            "yaml": self.facts.resolved_yaml,
        }

    @property
    def _is_short(self) -> bool:
        """Whether every comparison fits the first page."""
        return len(self.conditions) <= _PANELS and len(self.verdict.table) <= _MOST_ROWS

    @property
    def _device(self) -> str:
        """What the compute of trials is counted in."""
        return "GPU" if bool((self.cost["gpu_hours"] > 0).any()) else "CPU"

    def _small_facts(self) -> dict[str, Any]:
        trials, confirm = self.facts.trials, self.facts.trials[self.facts.trials["phase"] == "confirm"]
        chance = chance_level(self.metric)
        return {
            "arms": len({*self.kinds, *self.facts.arms}),
            "unfinished": self.facts.study.unfinished(trials),
            "conditions": self.conditions,
            "trials": len(trials),
            "seeds": int(confirm["seed"].nunique()),
            "metric": self.name.title,
            "objective": self.objective.title,
            "metric_unit": self.name.unit,
            "difference_unit": self.name.difference_unit,
            "identities": "test" if self.metric.startswith("test/") else "validation",
            "margin": self.name.magnitude(self.facts.equivalence_margin),
            "chance": self.name.value(chance) if np.isfinite(chance) else "chance",
            "comparisons": int(self.verdict.table["p_holm"].notna().sum()),
            "searches": int(self.verdict.table["searches"].max()) if len(self.verdict.table) else 1,
            "time": tables.time_unit(self.cost)[1],
            "time_name": "hours" if tables.time_unit(self.cost)[1] == "h" else "minutes",
            "price_time": compute_unit(self.prices["search_hours"])[1],
            "device": self._device,
            "adapts": self.facts.sampler not in ("random", "qmc", "grid"),
            "given_first": bool(self.facts.given_first),
            "diverged": len(self.diverged),
            "diverged_shown": min(len(self.diverged), _MOST_DIVERGENCES),
            "failed": int((trials["status"] == "failed").sum()),
            "violations": self.audit.loc[self.audit["violation"], "trial_id"].to_list(),
            "audited": int(self.audit["tightness"].notna().sum()),
            "saturated": int((self.audit["posterior_min"].notna() & self.audit["scale_bound"].isna()).sum()),
            "posterior": f"{POSTERIOR:g}",
            "bounds": self._sizes(),
        }

    def _sizes(self) -> list[dict[str, str]]:
        """What theory says of each (C, K) of the study."""
        sizes = self.facts.trials[["num_classes", "embedding_dim"]].drop_duplicates().astype(int)
        return [
            {
                "classes": f"{classes:,}",
                "dim": f"{dim:,}",
                "scale": tables.number(cosface_scale_bound(classes, POSTERIOR)),
                "paper": tables.number(cosface_margin_bound(classes, dim), 4),
                "sharp": tables.number(margin_upper_bound(classes, dim), 4),
                "few": "yes" if classes <= dim + 1 else "",
            }
            for classes, dim in sizes.itertuples(index=False)
        ]

    def _write_tables(self) -> None:
        frames = {
            "trials": self.facts.trials,
            "confirm": self.summary,
            "comparisons": self.verdict.table,
            "variance": variance_components(self.facts.trials, self.metric),
            "divergence_rates": divergence_rates(self.facts.trials),
            "price": self.best,
            "break_even": self.prices,
            "search_curve": self.curve,
            "bounds": self.audit,
            "settings": self.settings,
            "cost": self.cost,
            "divergences": self.diverged,
        }
        for name, frame in frames.items():
            frame.to_csv(self.folder / "tables" / f"{name}.csv", index=False, lineterminator="\n")

    def _add(self, kind: str, condition: str, figure: Figure) -> None:
        number = len(self.figures.get(kind, [])) + 1
        path = save(figure, self.folder / "figures" / f"{kind}-{number:02d}.svg")
        shown = condition if len(self.conditions) > 1 else ""
        alt = f"{_ALT[kind]}, {condition}" if shown else _ALT[kind]
        self.figures.setdefault(kind, []).append({"path": f"figures/{path.name}", "condition": shown, "alt": alt})

    def _headline(self) -> None:
        by_seed = confirm_by_seed(self.facts.trials, self.metric)
        margin = self.facts.equivalence_margin

        def means(shown: Sequence[str]) -> Figure:
            return forest(self.summary, by_seed, self.styles, self.name, margin, shown)

        if len(self.conditions) <= _PANELS:
            self._add("headline", "", means(self.conditions))
            return
        duels = self.verdict.duels
        if len(duels):
            self._add("headline", "", difference_forest(duels, self.styles, self.name, margin))
        for condition in self.conditions:
            self._add("means", condition, means([condition]))

    def _of_condition(self, condition: str) -> None:
        def here(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[frame["condition"] == condition]

        summary, points, prices = here(self.summary), here(self.points), here(self.prices)
        if len(prices):
            figure = price_figure(here(self.best), prices, self.styles, self.objective, self._device)
            self._add("price", condition, figure)
        if here(self.curve)["best"].notna().any():
            self._add("search", condition, search_figure(here(self.curve), summary, self.styles, self.objective))
        trajectories = self._confirm_trajectories(here(self.facts.trials))
        if trajectories:
            # Several searches chose several scales, and their median is none of them.
            tuned = (
                summary[(summary["kind"] != "adaptive") & (summary["searches"] <= 1)].set_index("arm")["s"].to_dict()
            )
            chosen = {str(arm): float(s) for arm, s in tuned.items() if arm in trajectories}
            self._add("trajectories", condition, trajectory_figure(trajectories, chosen, self.styles))
        mapped = mapped_arms(points)
        if mapped:
            self._add("map", condition, map_figure(points, mapped, self.objective))
        audit = here(self.audit)
        if (audit["posterior_min"].notna() & audit["s"].notna()).any():
            self._add("bounds", condition, bounds_figure(audit, self.styles))

    def _confirm_trajectories(self, trials: pd.DataFrame) -> Mapping[str, Sequence[pd.DataFrame]]:
        confirm = trials[trials["phase"] == "confirm"]
        found = {
            arm: [
                frame
                for trial_id in confirm.loc[confirm["arm"] == arm, "trial_id"]
                if (frame := _read(self.facts.trajectory, str(trial_id))) is not None
            ]
            for arm in self.styles
        }
        return {arm: frames for arm, frames in found.items() if frames}


def _read(trajectory: Callable[[str], pd.DataFrame], trial_id: str) -> pd.DataFrame | None:
    try:
        frame = trajectory(trial_id)
    except (KeyError, FileNotFoundError):
        return None
    return frame if len(frame) else None
