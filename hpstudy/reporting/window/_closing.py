"""What a study says of itself once it has an answer."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hpstudy.analysis import MetricName, hours_text
from hpstudy.reporting._evidence import Evidence
from hpstudy.reporting._facts import ReportFacts
from hpstudy.reporting.window._arm_figures import arm_figures
from hpstudy.reporting.window._lineage import Session, data_inputs, environment, once_each, origin_tags
from hpstudy.reporting.window._words import HOW_TO_READ, loss_words, plan_words, searched_words
from hpstudy.spec import Study
from hpstudy.tracking import Page, escaped, fitted, table

_Row = Mapping[Hashable, Any]
"""One row of `confirm_summary`."""

STATUSES = ("completed", "pruned", "diverged", "failed")
_FIGURES = ("headline", "trajectories", "search", "map", "histograms", "price", "bounds")
"""Figures of the report that the study's page shows; of each kind all conditions."""
_TRIAL_COLUMNS = ("arm", "condition", "phase", "s", "m")
_TRIAL_RESULTS = ("status", "cause", "objective")
_TRIAL_REST = ("search_seed", "number", "seed", "epochs", "steps", "cost/wall_s", "cost/gpu_s", "trial_id")


def closing_pages(study: Study, facts: ReportFacts, report: Path, sessions: Sequence[Session]) -> dict[str, Page]:
    """The study's page under the empty text, and the page of every arm that has a trial under its name.

    Args:
        study: The study.
        facts: What its report was made of.
        report: The PDF, with the report's figures beside it.
        sessions: What each session of the study noted.
    """
    evidence = Evidence(facts)
    pages = {"": _study_page(study, evidence, report, sessions)}
    figures = arm_figures(evidence)
    for arm in study.arms:
        if arm.name in evidence.kinds:
            pages[arm.name] = _arm_page(study, evidence, arm.name, figures[arm.name])
    return pages


def _study_page(study: Study, evidence: Evidence, report: Path, sessions: Sequence[Session]) -> Page:
    found = evidence.verdict
    # A survey confirms nothing, and its verdict speaks of the audit alone.
    confirmed = [] if study.is_survey else evidence.summary.to_dict("records")
    data = data_inputs(study, sessions)
    note = fitted(
        [
            # MLflow folds a long note: to its first line on the experiment, to the first few on a run.
            f"**{escaped(found.question)}** {escaped(found.headline)}",
            _confirmed_table(confirmed, evidence.name, several=len(evidence.conditions) > 1),
            escaped(found.paragraph.removeprefix(found.headline).strip()),
            "**Where things are.** *Artifacts* of this run: `report/report.pdf` is the report, `figures/` its figures, "
            "`tables/` the confirmed means and every trial, `study.yaml` the whole study file, `environment.txt` what "
            "it ran with. The runs below are the arms, with a page of their own each.",
            HOW_TO_READ,
            plan_words(study),
            _provenance(study, sessions),
        ]
    )
    tables = {"tables/trials.json": _trials_table(evidence.trials)}
    if confirmed:
        tables = {"tables/confirmed.json": _summary_table(evidence.summary)} | tables
    return Page(
        note=note,
        tags=origin_tags(sessions) | {"verdict": found.headline} | _winner(confirmed),
        metrics=_best(confirmed) | _counts(evidence.trials) | _costs(evidence.cost),
        tables=tables,
        content={"environment.txt": environment(sessions).encode()},
        files={"report": [report], "figures": _pictures(report.parent / "figures")},
        inputs=once_each(data),
    )


def _arm_page(study: Study, evidence: Evidence, name: str, figures: Mapping[str, bytes]) -> Page:
    arm = study.arm(name)
    trials = evidence.trials[evidence.trials["arm"] == name]
    confirmed = [] if study.is_survey else evidence.summary[evidence.summary["arm"] == name].to_dict("records")
    cost = evidence.cost[evidence.cost["arm"] == name]
    hours = hours_text(float(cost[f"{evidence.device.lower()}_hours"].sum()), evidence.device)
    counts = ", ".join(f"{count} {status}" for status, count in trials["status"].value_counts().items())
    note = fitted(
        [
            f"Arm **{escaped(name)}** of: *{escaped(study.spec.question)}*",
            _confirmed_table(confirmed, evidence.name, several=len(evidence.conditions) > 1),
            f"It {searched_words(study, arm)}. Trials: {counts}; together {hours}.",
            *loss_words(arm),
            "*Artifacts* of this run: `figures/` shows its searches and how its confirmed trials went, "
            "`tables/trials.json` every trial. The runs below are the trials.",
        ]
    )
    return Page(
        note=note,
        tags={"loss": arm.loss, "kind": arm.kind},
        metrics=_of_arm(confirmed) | _counts(trials) | _costs(cost),
        tables={"tables/trials.json": _trials_table(trials)},
        content=figures,
    )


def _confirmed_table(rows: Sequence[_Row], name: MetricName, *, several: bool) -> str:
    if not rows:
        return ""
    place = ["condition"] if several else []
    ranked = sorted(rows, key=lambda row: -row["mean"] if row["mean"] == row["mean"] else 1.0)
    cells = [
        [
            *([escaped(row["condition"])] if several else []),
            f"**{escaped(row['arm'])}**",
            f"**{name.value(row['mean'])}** [{name.interval(row['low'], row['high'])}]",
            str(row["n"]),
            escaped(row["point"]) or ("sets its own scale" if row["kind"] == "adaptive" else "–"),
            f"{row['diverged']} diverged" if row["diverged"] else "",
        ]
        for row in ranked
    ]
    return table([*place, "arm", f"{name.title}, mean [95 %]", "seeds", "chosen point", ""], cells)


def _provenance(study: Study, sessions: Sequence[Session]) -> str:
    last = sessions[-1] if sessions else {}
    facts = [f"study file SHA-256 {study.sha256[:12]}…", f"{len(sessions)} sessions" if len(sessions) > 1 else ""]
    facts += [
        last.get("source", ""),
        last.get("packages", ""),
        last.get("system", ""),
        f"GPUs: {last.get('gpus', '–')}",
    ]
    return f"**Provenance.** {escaped('; '.join(fact for fact in facts if fact))}."


def _counts(trials: pd.DataFrame) -> dict[str, float]:
    counts = trials["status"].value_counts()
    return {"trials/all": float(len(trials))} | {f"trials/{name}": float(counts.get(name, 0)) for name in STATUSES}


def _costs(cost: pd.DataFrame) -> dict[str, float]:
    return {f"cost/{name}": float(cost[name].sum()) for name in ("wall_hours", "cpu_hours", "gpu_hours")}


def _of_arm(rows: Sequence[_Row]) -> dict[str, float]:
    """The confirmed mean, its interval and the chosen point, for each condition if there are several."""
    metrics: dict[str, float] = {}
    for row in rows:
        place = f"/{row['condition']}" if len(rows) > 1 else ""
        metrics |= {f"confirm{place}/{key}": float(row[key]) for key in ("mean", "low", "high", "n")}
        metrics |= {f"chosen{place}/{key}": float(row[key]) for key in ("s", "m")}
        metrics[f"search{place}/best"] = float(row["search_best"])
    return metrics


def _first(rows: Iterable[_Row]) -> _Row | None:
    """The row with the highest confirmed mean; None where several conditions have each their own."""
    counted = [row for row in rows if row["mean"] == row["mean"]]
    if len({row["condition"] for row in counted}) != 1:
        return None
    return max(counted, key=lambda row: float(row["mean"]))


def _best(rows: Sequence[_Row]) -> dict[str, float]:
    row = _first(rows)
    return _of_arm([row]) if row else {}


def _winner(rows: Sequence[_Row]) -> dict[str, str]:
    row = _first(rows)
    return {"highest_mean": str(row["arm"])} if row else {}


def _summary_table(summary: pd.DataFrame) -> pd.DataFrame:
    """What the reader wants first comes first: MLflow shows few columns at once."""
    place = ["condition"] if summary["condition"].nunique() > 1 else []
    columns = ["arm", *place, "mean", "low", "high", "point", "n", "std", "search_best", "confirm_objective"]
    ranked = summary.sort_values("mean", ascending=False, kind="stable")
    return ranked[[*columns, "searches", "diverged", "failed", "kind", "loss"]]


def _trials_table(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with what was searched and what came of it, columns without a value left out."""
    searched = [c for c in trials if str(c).startswith("param/") and c not in ("param/s", "param/m")]
    judged = [c for c in trials if str(c).startswith(("val/", "test/"))]
    columns = [c for c in (*_TRIAL_COLUMNS, *searched, *_TRIAL_RESULTS, *judged, *_TRIAL_REST) if c in trials]
    if trials["condition"].nunique() < 2:
        columns.remove("condition")
    shown = trials[columns].replace("", pd.NA).dropna(axis="columns", how="all")
    return shown.rename(columns=lambda name: str(name).removeprefix("param/"))


def _pictures(folder: Path) -> list[Path]:
    return [path for kind in _FIGURES for path in sorted(folder.glob(f"{kind}-*.png"))]
