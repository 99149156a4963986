"""Tables of a comparison of several studies."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis import (
    BEST,
    IDENTICAL,
    NO_TRIAL,
    PAIRED,
    UNKNOWN,
    ComparedStudy,
    MetricName,
    listed,
    margin_unit,
    metric_name,
    scale_text,
    sets_own_scale,
)
from hpstudy.reporting._style import ArmStyle
from hpstudy.reporting._tables import (
    DASH,
    Align,
    Cell,
    Table,
    arm_cell,
    bare_difference,
    finding_cell,
    number,
    p_cell,
)

_LINE = 110
"""Letters that fit a line of a table."""
_LONGEST_VALUE = 150
_UNITS = {"rad": " rad", "factor": " ×"}


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def answers_table(found: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """The best tuned arm against the best adaptive one: a row a study, or a group a study and a row a condition.

    Args:
        found: `Across.table`.
        styles: Style of every arm.
    """
    conditions = bool(found.groupby("study").size().gt(1).any())
    telling = [key for key in ("metric", "equivalence_margin", "question") if found[key].nunique() > 1]
    grouped = conditions or bool(telling)
    start = _optional(conditions, "condition") if grouped else [("study", "left"), ("trials", "right")]
    table = Table(
        [
            *start, ("tuned", "left"), ("adaptive", "left"), ("classes", "right"), ("dim", "right"), ("n", "right"),
            ("difference", "right"), ("interval", "center"), ("p_holm", "right"), ("n_star", "right"),
            ("finding", "left"),
        ],
        headings={**_TITLES, "tuned": "best tuned", "adaptive": "best adaptive", "difference": "difference"},
    )  # fmt: skip
    for study, rows in found.groupby("study", sort=False):
        if grouped:
            table.group(_study_title(str(study), rows.iloc[0].to_dict(), telling))
        for row in rows.to_dict("records"):
            first: list[Cell] = [{"text": str(study)}, f"{row['trials']:,}"]
            name = metric_name(str(row["metric"]))
            table.row(
                *([condition_cell(row["condition"])] * conditions if grouped else first),
                arm_cell(row["arm"], styles) if pd.notna(row["arm"]) else DASH,
                arm_cell(row["adaptive"], styles) if pd.notna(row["adaptive"]) else DASH,
                _whole(row["num_classes"]),
                _whole(row["embedding_dim"]),
                _whole(row["seeds"]),
                bare_difference(row["difference"], name) if np.isfinite(row["difference"]) else DASH,
                _interval(row, name),
                p_cell(row["p_holm"]),
                _budget(row),
                NO_TRIAL if row["word"] == NO_TRIAL else finding_cell(row),
            )
    return table


def _study_title(study: str, row: Mapping[Any, Any], telling: Sequence[str]) -> str:
    """A study with what the others don't share, its question as far as the line goes."""
    name = metric_name(str(row["metric"]))
    told = [study, f"{row['trials']:,} trials" if row["trials"] else NO_TRIAL]
    told += [name.title] if "metric" in telling else []
    told += [f"δ = {name.magnitude(row['equivalence_margin'])}"] if "equivalence_margin" in telling else []
    title = " · ".join(told)
    room = _LINE - len(title)
    return f"{title} · {shortened(row['question'], room)}" if "question" in telling and row["question"] else title


def condition_cell(condition: str) -> Cell:
    """A condition's name; nothing for the only one of a study."""
    return "" if condition == "default" else {"text": condition}


def _optional(wanted: bool, key: str, align: Align = "left") -> list[tuple[str, Align]]:
    return [(key, align)] if wanted else []


def _whole(value: float) -> str:
    return f"{value:,.0f}" if pd.notna(value) else DASH


def _interval(row: Mapping[Any, Any], name: MetricName) -> str:
    return name.interval(row["low"], row["high"], sign=True) if np.isfinite(row["low"]) else DASH


def _budget(row: Mapping[Any, Any]) -> str:
    """n*, whose interval has a table of its own."""
    if pd.isna(row["n_star"]):
        return DASH
    return f"{row['n_star']:.0f}" if math.isfinite(row["n_star"]) else f"> {int(row['n_had'])}"


def facts_table(found: pd.DataFrame, labels: Sequence[str]) -> Table:
    """What studies share: a row per aspect and value.

    Args:
        found: `shared_facts` or `differing_keys`.
        labels: All studies.
    """
    key = "aspect" if "aspect" in found else "key"
    table = Table([(key, "left"), ("value", "left"), ("studies", "left")], headings=_TITLES)
    previous = ""
    for row in found.to_dict("records"):
        table.row(
            {"text": row[key]} if row[key] != previous else "",
            {"text": shortened(row["value"], _LONGEST_VALUE)},
            "all" if row["shared"] else {"text": _having(row["studies"], labels)},
        )
        previous = row[key]
    return table


def _having(studies: Sequence[str], labels: Sequence[str]) -> str:
    """The studies, or those that are left where they are fewer."""
    others = [label for label in labels if label not in studies]
    return f"all but {listed(others)}" if 2 * len(others) < len(labels) - 1 else listed(list(studies))


_TITLES = {"aspect": "what", "key": "key", "studies": "studies", "study": "study"}


def pooled_table(pooled: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """Differences pooled over studies; the best of each side first, then every shared pair of arms.

    Args:
        pooled: `pooled_differences`.
        styles: Style of every arm.
    """
    table = Table(
        [
            ("tuned", "left"), ("adaptive", "left"), ("k", "right"), ("difference", "right"), ("interval", "center"),
            ("p_holm", "right"), ("p_equivalence", "right"), ("tau", "right"), ("i2", "right"), ("finding", "left"),
        ],
        headings={"k": "$k$", "tau": "$τ${points}", "i2": "I², %"},
    )  # fmt: skip
    groups = pooled.groupby(["metric", "equivalence_margin"], sort=False)
    for (metric, _), rows in groups:
        name = metric_name(str(metric))
        if len(groups) > 1:
            table.group(f"{name.title}, δ = {name.magnitude(rows['equivalence_margin'].iloc[0])}")
        for row in rows.to_dict("records"):
            best = row["arm"] == BEST
            table.row(
                {"text": BEST, "weight": "bold"} if best else arm_cell(row["arm"], styles),
                "" if best else arm_cell(row["adaptive"], styles),
                str(row["k"]),
                bare_difference(row["difference"], name),
                _interval(row, name),
                p_cell(row["p_holm"]),
                p_cell(row["equivalence_p_holm"]),
                number(row["tau"] * name.factor, 1 if name.is_rate else 3),
                number(100 * row["i2"], 0),
                finding_cell(row | {"reason": ""}),
            )
    return table


def chosen_table(arms: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> Table:
    """What the same arm chose and scored in each study: a group an arm.

    Args:
        arms: `arms_across`.
        styles: Style of every arm.
    """
    several = bool(arms.groupby(["arm", "study"])["condition"].nunique().gt(1).any()) if len(arms) else False
    table = Table(
        [
            ("study", "left"), *_optional(several, "condition"), ("classes", "right"), ("dim", "right"), ("s", "right"),
            ("m", "right"), ("least_s", "right"), ("adacos_s", "right"), ("test", "right"), ("interval", "center"),
            ("n", "right"),
        ],
        headings={**_TITLES, "test": "mean{percent}", "least_s": "$s$, eq. 6", "adacos_s": "$s$, AdaCos"},
    )  # fmt: skip
    for (arm, loss), rows in arms.groupby(["arm", "loss"], sort=False):
        alone = arms.loc[arms["arm"] == arm, "loss"].nunique() == 1
        table.group(str(arm) if alone else f"{arm} ({loss})")
        previous = ""
        for row in rows.to_dict("records"):
            name = metric_name(row["metric"])
            start = [condition_cell(row["condition"])] if several else []
            again, previous = row["study"] == previous, row["study"]
            mean = name.value(row["mean"]).replace(f"\N{NO-BREAK SPACE}{name.unit}", "")
            table.row(
                "" if again else arm_cell(row["study"], {row["study"]: styles[str(arm)]}),
                *start,
                _whole(row["num_classes"]),
                _whole(row["embedding_dim"]),
                _scale(row),
                number(row["m"]) + _UNITS.get(margin_unit(str(loss)), "") if np.isfinite(row["m"]) else DASH,
                scale_text(row["least_s"]),
                scale_text(row["adacos_s"]) if np.isfinite(row["adacos_s"]) else DASH,
                "diverged" if row["always_diverged"] else mean,
                name.interval(row["low"], row["high"]) if np.isfinite(row["low"]) else DASH,
                str(row["n"]),
            )
    return table


def _scale(row: Mapping[Any, Any]) -> str:
    """The chosen s; of a scale that sets itself, where it ended."""
    if np.isfinite(row["s"]):
        return scale_text(row["s"])
    if sets_own_scale(str(row["loss"])) and np.isfinite(row["final_s"]):
        return f"→ {scale_text(row['final_s'])}"
    return DASH


def between_table(between: pd.DataFrame, metric: str, styles: Mapping[str, ArmStyle]) -> Table:
    """The same arm in two studies: a group a pair of studies.

    Args:
        between: `between_studies`, of one metric.
        metric: The metric.
        styles: Style of every arm.
    """
    name = metric_name(metric)
    table = Table(
        [
            ("arm", "left"), ("n", "right"), ("difference", "right"), ("interval", "center"), ("p_holm", "right"),
            ("p_equivalence", "right"), ("finding", "left"),
        ]
    )  # fmt: skip
    for title, rows in _pairs(between):
        table.group(title)
        for row in rows.to_dict("records"):
            judged = np.isfinite(row["difference"])
            same = row["word"] == IDENTICAL
            table.row(
                arm_cell(row["arm"], styles),
                str(row["n"]),
                bare_difference(row["difference"], name) if judged else DASH,
                _interval(row, name) if judged and not same else DASH,
                DASH if same or row["check"] else p_cell(row["p_holm"]),
                DASH if same or row["check"] else p_cell(row["equivalence_p_holm"]),
                "identical"
                if same
                else {"text": "not the same", "alarm": "yes"}
                if row["check"]
                else finding_cell(row),
            )
    return table


def _pairs(between: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    keys = ["study", "condition", "reference", "reference_condition", "how"]
    for (study, condition, reference, other, how), rows in between.groupby(keys, sort=False):
        alone = condition == other == "default"
        sides = (study, reference) if alone else (f"{study} ({condition})", f"{reference} ({other})")
        shared = list(dict.fromkeys(key for text in rows["differs"] for key in text.split(", ") if key))
        differing = [key for key in shared if not key.startswith("arms.")]
        of_arms = ["the arms’ own settings"] if len(differing) < len(shared) else []
        told = ", ".join([*differing, *of_arms]) or "nothing in the study file"
        paired = "paired by seed" if how == PAIRED else "unpaired, Welch"
        yield f"{sides[0]} minus {sides[1]}: {paired}; differs: {shortened(told, _LONGEST_VALUE)}", rows


def priced(prices: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """`break_even` against the best adaptive scale of each study and condition, named as `price_table` groups by it.

    Args:
        prices: `Across.prices`.
        found: `Across.table`.
    """
    keys = ["study", "condition", "adaptive"]
    best = found.dropna(subset=["adaptive"])[keys]
    shown = prices.merge(best, on=keys)
    names = shown["study"].where(shown["condition"] == "default", shown["study"] + ", " + shown["condition"])
    return shown.assign(condition=names)


def sources_table(studies: Sequence[ComparedStudy]) -> Table:
    """What each study was run with: a group a study."""
    table = Table([("fact", "left"), ("value", "left")])
    for study in studies:
        table.group(study.label)
        facts = {
            "name in its file": study.facts.name if study.facts.name != study.label else "",
            "study file, SHA-256": study.sha256,
            "sessions": str(len(study.sessions)) if study.sessions else UNKNOWN,
            **{key: study.session_values(key) for key in ("started", "source", "packages", "python", "system", "gpus")},
            **{f"deviation: {what}": detail for what, detail in study.deviations.items()},
        }
        for fact, value in facts.items():
            if value and (value != UNKNOWN or fact == "sessions"):
                table.row(fact, {"text": value})
    return table
