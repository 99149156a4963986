"""The answer of a study in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import TUNED, arm_kinds, conditions
from hpstudy.analysis._comparisons import (
    BETTER,
    DIVERGED,
    EQUIVALENT,
    NOT_COMPARED,
    NOT_SHOWN,
    WORSE,
    confirm_summary,
    paired_comparisons,
)
from hpstudy.analysis._facts import StudyFacts
from hpstudy.analysis._metrics import MetricName, chance_level, metric_name
from hpstudy.analysis._open import lost_searches, spread_words, undecided
from hpstudy.analysis._search import compute_seconds
from hpstudy.analysis._words import counted, hours_text, listed, p_text


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Verdict:
    """The answer of a study."""

    question: str
    headline: str
    """One sentence: does tuning pay?"""
    paragraph: str
    """The headline and the numbers behind it, for a reader."""
    lines: tuple[str, ...]
    """The same for a terminal, one short line per arm and condition."""
    table: pd.DataFrame
    """Every tuned arm against every adaptive arm (`paired_comparisons`)."""
    duels: pd.DataFrame
    """The rows of `table` that the headline is about: at most one a condition, in the order of the conditions."""

    def __str__(self) -> str:
        return "\n".join((self.question, *self.lines))


def confirm_metric(trials: pd.DataFrame, objective: str) -> str:
    """The metric that judges confirm trials: the test protocol's twin of `objective`, else `objective` itself."""
    twin = "test/" + objective.split("/", 1)[-1]
    return twin if twin in trials and trials[twin].notna().any() else objective


def verdict(facts: StudyFacts, trials: pd.DataFrame) -> Verdict:
    """Says which tuned arm is best, by how much against the best adaptive scale, at what cost, and what stays open.

    The best arm of each group is the one with the highest confirm mean, where an arm that diverged at every seed comes
    last. That is itself a choice made on the test scores, and the text says so. An arm with a given (s, m) stands for
    the tuned ones only where no searched arm was confirmed.
    """
    metric = confirm_metric(trials, facts.objective)
    summary = confirm_summary(trials, metric)
    table = paired_comparisons(trials, metric, facts.equivalence_margin)
    heads = [_head_to_head(summary, table, condition) for condition in conditions(trials)]
    name = metric_name(metric)
    duels = [duel for duel in heads if duel is not None]
    details: list[str] = []
    if len(trials) and (trials["status"] == "diverged").all():
        headline = "Every trial diverged."
    elif not duels:
        headline = _nothing_to_compare(facts, trials, summary, table)
    elif len(heads) == 1:
        headline = _headline(duels[0]).format(margin=name.magnitude(facts.equivalence_margin))
        details = _one_condition(duels[0], name, metric, int(table["p_holm"].notna().sum()))
        details += spread_words(trials, metric, str(duels[0].tuned["arm"]), name)
    else:
        headline = _many_headline(duels, len(heads))
        details = _many_conditions(duels, name)
    if progress := facts.unfinished(trials):
        headline = f"Unfinished ({progress}): {headline[0].lower()}{headline[1:]}"
    sentences = [headline, *details]
    sentences += _cost(trials, duels)
    sentences += _divergence(trials, metric, name)
    sentences += lost_searches(trials, metric)
    sentences += undecided(table, facts.equivalence_margin, name)
    return Verdict(
        question=facts.question,
        headline=headline,
        paragraph=" ".join(sentences),
        lines=(headline, *_lines(summary, duels, name)),
        table=table,
        duels=table.loc[[duel.comparison.name for duel in duels]].reset_index(drop=True),
    )


_ONE_SEARCH = (
    "This speaks of the point that one search found: another search might have found another, and only repeated "
    "searches tell how far that moves the difference."
)
_HEADLINES = {
    BETTER: "Tuning is shown to pay: the best tuned arm beats the best adaptive scale.",
    WORSE: "Tuning is shown not to pay: the best tuned arm is worse than the best adaptive scale.",
    EQUIVALENT: "Tuning makes no difference that matters: the best tuned arm and the best adaptive scale are "
    "equivalent within ±{margin}.",
    NOT_SHOWN: "These seeds do not decide whether tuning pays.",
}
_FIXED_HEADLINES = {
    BETTER: "A given point is shown to be better: the best fixed arm beats the best adaptive scale.",
    WORSE: "A given point is shown to be worse: the best adaptive scale beats the best fixed arm.",
    EQUIVALENT: "The best fixed arm and the best adaptive scale are equivalent within ±{margin}.",
    NOT_SHOWN: "These seeds do not decide between the best fixed arm and the best adaptive scale.",
}


@dataclass(frozen=True, slots=True)
class _Duel:
    """The best tuned arm against the best adaptive arm in one condition: rows of the summary and of the comparisons."""

    condition: str
    tuned: pd.Series
    adaptive: pd.Series
    comparison: pd.Series

    @property
    def word(self) -> str:
        return str(self.comparison["word"])

    @property
    def side(self) -> str:
        """What the arm with (s, m) is called."""
        return "fixed arm" if self.tuned["kind"] == "fixed" else "tuned arm"


def _headline(duel: _Duel) -> str:
    if duel.word == DIVERGED:
        tuned, adaptive = f"the best {duel.side}", "the best adaptive scale"
        if duel.tuned["always_diverged"] and duel.adaptive["always_diverged"]:
            return f"Nothing can be compared: {tuned} and {adaptive} diverged at every confirm seed."
        lost, other = (tuned, adaptive) if duel.tuned["always_diverged"] else (adaptive, tuned)
        return f"T{lost[1:]} diverged at every confirm seed; {other} did not."
    if duel.word == NOT_COMPARED:
        return f"Not compared: {duel.comparison['reason']}."
    if duel.comparison["n"] < 2:
        return "One seed cannot decide whether tuning pays."
    words = (_FIXED_HEADLINES if duel.tuned["kind"] == "fixed" else _HEADLINES)[duel.word]
    few = duel.comparison["n"] == 2 and duel.word != NOT_SHOWN
    return f"{words[:-1]} (on 2 seeds only)." if few else words


def _head_to_head(summary: pd.DataFrame, table: pd.DataFrame, condition: str) -> _Duel | None:
    here = summary[(summary["condition"] == condition) & summary["mean"].notna()]
    tuned, adaptive = here[here["kind"].isin(TUNED)], here[here["kind"] == "adaptive"]
    if tuned.empty or adaptive.empty:
        return None
    searched = tuned[tuned["kind"] != "fixed"]
    groups = (tuned if searched.empty else searched, adaptive)
    ranked = [
        group.sort_values(["always_diverged", "mean"], ascending=[True, False], kind="stable") for group in groups
    ]
    best, rival = ranked[0].iloc[0], ranked[1].iloc[0]
    row = table[(table["condition"] == condition) & (table["arm"] == best["arm"]) & (table["adaptive"] == rival["arm"])]
    return _Duel(condition, best, rival, row.iloc[0])


def _nothing_to_compare(facts: StudyFacts, trials: pd.DataFrame, summary: pd.DataFrame, table: pd.DataFrame) -> str:
    kinds = set(arm_kinds(trials).values())
    waiting = facts.waiting(trials)
    if waiting and ("adaptive" not in kinds or kinds == {"adaptive"}):
        return f"No answer yet: {listed(waiting)} {'has' if len(waiting) == 1 else 'have'} no trial that ended."
    if "adaptive" not in kinds:
        return "Nothing to compare with: the study has no arm whose scale sets itself."
    if kinds == {"adaptive"}:
        return "Nothing to compare: every arm of the study has a scale that sets itself."
    reasons = list(dict.fromkeys(table.loc[table["word"] == NOT_COMPARED, "reason"]))
    if reasons and all("diverged" in reason or "failed" in reason for reason in reasons):
        return f"Not compared: {listed(reasons)}."
    if summary["mean"].isna().all():
        return "No answer yet: no confirm trial has ended."
    return "No answer yet: no tuned arm and adaptive arm have both been confirmed in the same condition."


def _seeds(n: int) -> str:
    return "one fresh seed" if n == 1 else f"mean of {n} fresh seeds"


def _reached(row: pd.Series, name: MetricName, title: str = "") -> str:
    if row["always_diverged"]:
        return "diverged at every confirm seed"
    interval = f" (95 % interval {name.interval(row['low'], row['high'])})" if np.isfinite(row["low"]) else ""
    return f"reaches {title}{name.value(row['mean'])}{interval}"


def _one_condition(duel: _Duel, name: MetricName, metric: str, comparisons: int) -> list[str]:
    tuned, adaptive, row = duel.tuned, duel.adaptive, duel.comparison
    point = f" at {tuned['point']}" if tuned["point"] else ""
    identities = "test" if metric.startswith("test/") else "validation"
    reached = _reached(tuned, name, f"{name.title} = ")
    if not tuned["always_diverged"]:
        reached += f" on the {identities} identities, {_seeds(int(tuned['n']))}"
    title = f"{name.title} = " if tuned["always_diverged"] else ""
    sentences = [
        f"The best {duel.side}, {tuned['arm']}{point}, {reached}; the best "
        f"adaptive scale, {adaptive['arm']}, which needs no search, {_reached(adaptive, name, title)}."
    ]
    if np.isfinite(row["p_holm"]):
        both = ", with searches and seeds taken as random" if row["searches"] > 1 else ""
        interval = (
            f"95 % interval {name.interval(row['low'], row['high'], sign=True)}"
            if np.isfinite(row["low"])
            else "the same at every seed, which gives no interval"
        )
        sentences.append(
            f"Paired by seed{both}, the difference is {name.difference(row['difference'])} "
            f"({interval}; {p_text(row['p_holm'])} after Holm’s "
            f"adjustment for {counted(comparisons, 'comparison')}). "
            "Both were picked by these same scores, which flatters whichever was picked."
        )
        if row["searches"] == 1 and tuned["searches"] == 1:
            sentences.append(_ONE_SEARCH)
    elif duel.word == NOT_SHOWN:
        why = "one pair" if row["n"] < 2 else "two equal pairs"
        sentences.append(
            f"The difference is {name.difference(row['difference'])}; with {why} there is no interval and no test."
        )
    if np.isfinite(tuned["search_best"]) and np.isfinite(tuned["confirm_objective"]) and not tuned["always_diverged"]:
        best, fresh = name.value(tuned["search_best"]), name.value(tuned["confirm_objective"])
        if tuned["searches"] == 1:
            text = f"The search had seen {best} on the validation identities; the same point gives {fresh}"
        else:
            low = name.value(tuned["search_best_low"])
            text = f"The searches had seen between {low} and {best} on the validation identities; their points give"
            text += f" {fresh} on average"
        sentences.append(f"{text} there with fresh seeds.")
    return sentences


def _many_headline(duels: Sequence[_Duel], total: int) -> str:
    count = {
        word: sum(duel.word == word for duel in duels) for word in (BETTER, WORSE, EQUIVALENT, NOT_SHOWN, DIVERGED)
    }
    said = [
        f"{phrase} in {count[word]}"
        for word, phrase in (
            (BETTER, "shown better"),
            (WORSE, "shown worse"),
            (EQUIVALENT, "equivalent"),
            (NOT_SHOWN, "undecided"),
            (DIVERGED, "one side diverged throughout"),
        )
        if count[word]
    ]
    open_ones = total - sum(count.values())
    said += [f"not confirmed in {open_ones}"] if open_ones else []
    sides = listed(sorted({duel.side for duel in duels}, reverse=True)).replace(" and ", " or ")
    few = any(duel.comparison["n"] == 2 for duel in duels if duel.word in (BETTER, WORSE, EQUIVALENT))
    caveat = " (on 2 seeds only)" if few else ""
    return f"In {total} conditions, the best {sides} against the best adaptive scale: {listed(said)}{caveat}."


def _many_conditions(duels: Sequence[_Duel], name: MetricName) -> list[str]:
    measured = [duel for duel in duels if np.isfinite(duel.comparison["difference"])]
    if not measured:
        return []
    ordered = sorted(measured, key=lambda duel: float(duel.comparison["difference"]))
    lowest, highest = ordered[0], ordered[-1]

    def told(duel: _Duel) -> str:
        row = duel.comparison
        measured = np.isfinite(row["low"])
        within = f", 95 % interval {name.interval(row['low'], row['high'], sign=True)}" if measured else ""
        tuned = f"{duel.tuned['arm']} at {duel.tuned['point']}" if duel.tuned["point"] else duel.tuned["arm"]
        difference = name.difference(row["difference"])
        return f"{difference} in {duel.condition} ({tuned} against {duel.adaptive['arm']}{within})"

    text = f"The difference in {name.title} ranges from {told(lowest)} to {told(highest)}."
    if lowest is highest:
        text = f"The difference in {name.title} is {told(lowest)}."
    caveats = ["In each condition both were picked by these same scores, which flatters whichever was picked."]
    if any(duel.comparison["searches"] == 1 and duel.tuned["searches"] == 1 for duel in measured):
        caveats.append(_ONE_SEARCH)
    return [text, *caveats]


def _cost(trials: pd.DataFrame, duels: Sequence[_Duel]) -> list[str]:
    search = trials[trials["phase"].isin(["search", "grid"])]
    if search.empty:
        return ["Nothing was searched."]
    device = "GPU" if "cost/gpu_s" in trials and (trials["cost/gpu_s"].fillna(0) > 0).any() else "CPU"
    seconds = compute_seconds(trials)
    searches = len(search.groupby(["condition", "arm", "search_seed"]))
    total = f"{counted(len(search), 'trial')} and {hours_text(seconds[search.index].sum() / 3600, device)}"
    if len(duels) != 1:
        return [f"The {searches} searches took {total}." if searches > 1 else f"The search took {total}."]
    tuned, adaptive = duels[0].tuned["arm"], duels[0].adaptive["arm"]
    mine = search[search["arm"] == tuned]
    once = seconds[(trials["arm"] == adaptive) & (trials["phase"] == "confirm")].mean() / 3600
    one_run = f"; one run of {adaptive} takes {hours_text(once, device)}" if np.isfinite(once) else ""
    if mine.empty and set(search["arm"]) == {adaptive}:
        return [f"{tuned} was not searched; the search of {adaptive} took {total}{one_run}."]
    if mine.empty:
        return [f"{tuned} was not searched; the searches of the other arms took {total}{one_run}."]
    spent = hours_text(seconds[mine.index].sum() / 3600, device)
    all_of_them = f"; all {searches} searches took {total}" if searches > 1 else ""
    points = "that point" if mine["search_seed"].nunique() == 1 else "those points"
    return [f"Finding {points} took {counted(len(mine), 'trial')} and {spent}{all_of_them}{one_run}."]


def _divergence(trials: pd.DataFrame, metric: str, name: MetricName) -> list[str]:
    diverged = trials[trials["status"] == "diverged"]
    sentences = []
    if diverged.empty:
        sentences.append("No trial diverged.")
    else:
        counts = diverged["arm"].value_counts().sort_index()
        arms = listed([f"{arm} {count}" for arm, count in counts.items()])
        text = f"{len(diverged)} of {counted(len(trials), 'trial')} diverged ({arms})"
        if (diverged["phase"] == "confirm").any():
            chance = chance_level(metric)
            level = f" ({name.value(chance)})" if np.isfinite(chance) else ""
            text += f"; those of the confirm phase count at chance{level}"
        sentences.append(text + ".")
    failed = int((trials["status"] == "failed").sum())
    if failed:
        sentences.append(
            "1 trial failed and is left out." if failed == 1 else f"{failed} trials failed and are left out."
        )
    return sentences


def _lines(summary: pd.DataFrame, duels: Sequence[_Duel], name: MetricName) -> list[str]:
    if summary.empty:
        return []
    rivals = {duel.condition: duel for duel in duels}
    several = summary["condition"].nunique() > 1
    width = max((len(arm) for arm in summary["arm"]), default=0)
    lines = []
    for row in summary.sort_values("mean", ascending=False, na_position="last", kind="stable").to_dict("records"):
        duel = rivals.get(row["condition"])
        bounds = f"[{name.interval(row['low'], row['high'])}]" if np.isfinite(row["low"]) else "[no interval]"
        note = ", ".join(part for part in ("adaptive" * (row["kind"] == "adaptive"), row["point"]) if part)
        if row["always_diverged"]:
            bounds = "[diverged at every seed]"
        line = f"{row['arm']:<{width}}  {name.value(row['mean']):>7}  {bounds}  n={row['n']}  {note}".rstrip()
        if duel is not None and row["arm"] == duel.tuned["arm"]:
            found = f"{name.difference(duel.comparison['difference'])} against {duel.adaptive['arm']}: {duel.word}"
            reason = f"not compared with {duel.adaptive['arm']}: {duel.comparison['reason']}"
            line += f"  ({reason if duel.comparison['reason'] else found})"
        lines.append(f"{row['condition']}: {line}" if several else line)
    return lines
