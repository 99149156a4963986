"""The same question asked in several studies: does the verdict hold?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import arm_kinds, conditions
from hpstudy.analysis._compared import ComparedStudy
from hpstudy.analysis._comparisons import BETTER, DIVERGED, EQUIVALENT, NOT_COMPARED, NOT_SHOWN, WORSE
from hpstudy.analysis._metrics import MetricName, metric_name
from hpstudy.analysis._pooled import BEST, pooled_differences
from hpstudy.analysis._price import break_even
from hpstudy.analysis._verdict import Verdict, verdict
from hpstudy.analysis._words import listed, p_text

NO_TRIAL = "no trial yet"
"""Stands for the finding of a study of which no trial has ended."""

MIXED = "depends on the condition"
"""The finding of a study whose conditions do not agree."""

_ROWS = [
    "study", "question", "condition", "num_classes", "embedding_dim", "metric", "equivalence_margin", "trials", "seeds",
    "arm", "adaptive", "difference", "low", "high", "p_holm", "equivalence_p_holm", "word", "reason", "n_star", "n_low",
    "n_high", "n_had",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Across:
    """What several studies amount to."""

    headline: str
    """One sentence: does the verdict hold?"""
    paragraph: str
    """The numbers behind it."""
    table: pd.DataFrame
    """One row per study × condition: the best tuned arm minus the best adaptive one (`Verdict.duels`), with its n*."""
    findings: Mapping[str, str]
    """By label: the finding of each study, `MIXED` where its conditions disagree, `NO_TRIAL` where it has none."""
    comparisons: pd.DataFrame
    """Every tuned arm against every adaptive one, of all studies (`paired_comparisons` and `study`)."""
    prices: pd.DataFrame
    """`break_even` of all studies, and `study`."""
    pooled: pd.DataFrame
    """`pooled_differences`."""


def across(studies: Sequence[ComparedStudy]) -> Across:
    """Says in how many studies tuning was shown to pay, how far they agree, and what they say together.

    Each study's own words stand: they follow from its tests, adjusted within it. Nothing is adjusted over the studies,
    which are asked one by one; what they say together is `pooled_differences`.
    """
    verdicts = {study.label: verdict(study.facts, study.trials) for study in studies if not study.trials.empty}
    found = {study.label: break_even(study.facts, study.trials) for study in studies if study.label in verdicts}
    rows = [row for study in studies for row in _rows(study, verdicts.get(study.label), found.get(study.label))]
    table = pd.DataFrame(rows, columns=_ROWS)
    findings = {
        str(label): words.iloc[0] if words.nunique() == 1 else MIXED
        for label, words in table.groupby("study", sort=False)["word"]
    }
    pooled = pooled_differences(studies)
    headline = _headline(studies, table, findings)
    sentences = [*_conditions(table), *_ranges(table), *_together(pooled), *_picked(table)]
    return Across(
        headline=headline,
        paragraph=" ".join(sentences),
        table=table,
        findings=findings,
        comparisons=_stacked({label: one.table for label, one in verdicts.items()}),
        prices=_stacked(found),
        pooled=pooled,
    )


def _stacked(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    filled = [frame.assign(study=label) for label, frame in frames.items() if len(frame)]
    if not filled:
        return pd.DataFrame(columns=["study", "condition"])
    stacked = pd.concat(filled, ignore_index=True)
    return stacked[["study", *(column for column in stacked if column != "study")]]


def _rows(study: ComparedStudy, answer: Verdict | None, prices: pd.DataFrame | None) -> list[dict[str, object]]:
    """One row a condition; a single one without condition while the study has no trial."""
    common: dict[str, object] = {
        "study": study.label,
        "question": study.facts.question,
        "condition": "",
        "metric": study.metric,
        "equivalence_margin": study.margin,
        "trials": len(study.trials),
        "word": NO_TRIAL,
        "reason": NO_TRIAL,
    }
    if answer is None or prices is None:
        return [common]
    duels = answer.duels.set_index("condition").to_dict("index")
    rows = []
    for condition in conditions(study.trials):
        here = study.trials[study.trials["condition"] == condition]
        sizes = here[["num_classes", "embedding_dim"]].iloc[0].to_dict()
        row = common | {str(name): size for name, size in sizes.items()} | {"condition": condition}
        duel = duels.get(condition)
        if duel is None:
            reason = answer.headline.rstrip(".") if not duels else "no confirmed pair in this condition"
            rows.append(row | {"word": NOT_COMPARED, "reason": reason})
            continue
        row |= {name: duel[name] for name in ("arm", "adaptive", "difference", "low", "high", "p_holm")}
        row |= {name: duel[name] for name in ("equivalence_p_holm", "word", "reason")} | {"seeds": duel["n"]}
        price = prices[
            (prices["condition"] == condition)
            & (prices["arm"] == duel["arm"])
            & (prices["adaptive"] == duel["adaptive"])
        ]
        if len(price):
            one = price.iloc[0]
            row |= {"n_star": one["n_star"], "n_low": one["low"], "n_high": one["high"], "n_had": one["trials"]}
        rows.append(row)
    return rows


def _headline(studies: Sequence[ComparedStudy], table: pd.DataFrame, findings: Mapping[str, str]) -> str:
    words = list(findings.values())
    total, count = len(words), {word: words.count(word) for word in dict.fromkeys(words)}
    fixed = any(
        arm_kinds(study.trials).get(str(arm)) == "fixed"
        for study in studies
        for arm in table.loc[table["study"] == study.label, "arm"].dropna()
    )
    tuned = "arm with (s, m)" if fixed else "tuned arm"
    text = _agreement(count, total, tuned) or _count(count, total, tuned)
    decided = table[table["word"].isin([BETTER, WORSE, EQUIVALENT])]
    if (decided["seeds"] == 2).any():
        some = "" if (decided["seeds"] == 2).all() else "some of it "
        text = f"{text[:-1]} ({some}on 2 seeds only)."
    if {BETTER, WORSE} <= set(table["word"]):
        text = f"The studies contradict each other: {text[0].lower()}{text[1:]}"
    unfinished = [
        f"{study.label}: {progress}"
        for study in studies
        if not study.trials.empty and (progress := study.facts.unfinished(study.trials))
    ]
    return f"Unfinished ({'; '.join(unfinished)}): {text[0].lower()}{text[1:]}" if unfinished else text


def _agreement(count: Mapping[str, int], total: int, tuned: str) -> str:
    """The sentence where all studies found the same; empty where they did not."""
    if len(count) > 1:
        return ""
    studies = "both studies" if total == 2 else f"all {total} studies"
    none = "Neither study" if total == 2 else f"None of the {total} studies"
    return {
        BETTER: f"The verdict is the same in {studies}: the best {tuned} is shown better than the best adaptive scale.",
        WORSE: f"The verdict is the same in {studies}: the best {tuned} is shown worse than the best adaptive scale.",
        EQUIVALENT: f"The verdict is the same in {studies}: the best {tuned} and the best adaptive scale are "
        "equivalent within each study’s margin.",
        NOT_SHOWN: f"{none} decides whether the best {tuned} or the best adaptive scale is better.",
        DIVERGED: f"In {studies} one side diverged at every confirm seed.",
        NOT_COMPARED: f"{none} compares a tuned arm with an adaptive scale.",
        MIXED: f"In {studies} the answer depends on the condition.",
        NO_TRIAL: "No trial has ended yet.",
    }[next(iter(count))]


def _count(count: Mapping[str, int], total: int, tuned: str) -> str:
    """The sentence where they did not: what was shown first, then what stays open."""
    full = {
        BETTER: f"the best {tuned} was shown better than the best adaptive scale",
        WORSE: f"the best {tuned} was shown worse than the best adaptive scale",
        EQUIVALENT: f"the best {tuned} and the best adaptive scale were shown equivalent",
        MIXED: "the answer depends on the condition",
        NOT_SHOWN: f"it stays open whether the best {tuned} or the best adaptive scale is better",
        DIVERGED: "one side diverged at every confirm seed",
        NOT_COMPARED: "nothing could be compared",
        NO_TRIAL: "no trial has ended yet",
    }
    short = full | {
        WORSE: "it was shown worse",
        EQUIVALENT: "the two were shown equivalent",
        NOT_SHOWN: "it stays open",
    }
    told = [word for word in full if word in count]
    first, others = told[0], told[1:]
    parts = [f"In {count[first]} of {total} studies {full[first]}"]
    parts += [f"in {count[word]} {(short if first == BETTER else full)[word]}" for word in others]
    return "; ".join(parts) + "."


def _conditions(table: pd.DataFrame) -> list[str]:
    """How the conditions of all studies came out, where there are more of them than studies."""
    here = table[table["word"] != NO_TRIAL]
    if len(here) == here["study"].nunique():
        return []
    phrases = {BETTER: "better", WORSE: "worse", EQUIVALENT: "equivalent", NOT_SHOWN: "undecided", DIVERGED: "diverged"}
    said = [f"{phrase} {int((here['word'] == word).sum())}" for word, phrase in phrases.items()]
    said += [f"not compared {int((here['word'] == NOT_COMPARED).sum())}"]
    return [f"Over all {len(here)} conditions: {listed([one for one in said if not one.endswith(' 0')])}."]


def _ranges(table: pd.DataFrame) -> list[str]:
    """The least and the largest difference of each metric."""
    sentences = []
    conditions_of = table.groupby("study").size().to_dict()
    for metric, rows in table[table["difference"].notna()].groupby("metric", sort=False):
        name = metric_name(str(metric))
        ordered = rows.sort_values("difference", kind="stable").to_dict("records")
        least, most = (_told(ordered[i], name, conditions_of) for i in (0, -1))
        range_text = f"ranges from {least} to {most}" if len(ordered) > 1 else f"is {least}"
        sentences.append(f"The difference in {name.title} {range_text}.")
    return sentences


def _told(row: Mapping[Any, Any], name: MetricName, conditions_of: Mapping[Any, int]) -> str:
    within = f"; 95 % interval {name.interval(row['low'], row['high'], sign=True)}" if np.isfinite(row["low"]) else ""
    place = f"{row['study']} ({row['condition']})" if conditions_of[row["study"]] > 1 else row["study"]
    return f"{name.difference(row['difference'])} in {place} ({row['arm']} against {row['adaptive']}{within})"


def _together(pooled: pd.DataFrame) -> list[str]:
    """What the pooled differences of the best arms say."""
    sentences = []
    for row in pooled[pooled["arm"] == BEST].to_dict("records"):
        name = metric_name(row["metric"])
        text = (
            f"Pooled over {row['k']} independent studies, with arms picked by other seeds than they are judged by, it "
            f"is {name.difference(row['difference'])}"
        )
        if not np.isfinite(row["low"]):
            sentences.append(f"{text}, the same in each, which gives no interval.")
            continue
        within = f"95 % interval {name.interval(row['low'], row['high'], sign=True)}; {p_text(row['p'])}"
        equal = f"equivalent within ±{name.magnitude(row['equivalence_margin'])}"
        sentences.append(f"{text} ({within}): {equal if row['word'] == EQUIVALENT else row['word']}.")
    return sentences


def _picked(table: pd.DataFrame) -> list[str]:
    if table["difference"].isna().all():
        return []
    return [
        "In each study both arms were picked by the same scores that judge them, which flatters whichever was picked."
    ]
