"""The answer of a study in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hpstudy.analysis._arms import TUNED, arm_kinds, conditions
from hpstudy.analysis._comparisons import BETTER, EQUIVALENT, NOT_SHOWN, WORSE, confirm_summary, paired_comparisons
from hpstudy.analysis._metrics import MetricName, chance_level, metric_name
from hpstudy.analysis._search import compute_seconds
from hpstudy.analysis._statistics import seeds_needed
from hpstudy.analysis._words import hours_text, listed, p_text, point_text

_MOST_SEEDS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFacts:
    """What the words of a verdict need to know of the study."""

    name: str
    question: str
    objective: str
    """Metric of the search, e.g. `val/tar_at_far_1e-3`."""
    equivalence_margin: float
    """δ, in the metric's own unit."""


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

    def __str__(self) -> str:
        return "\n".join((self.question, *self.lines))


def confirm_metric(trials: pd.DataFrame, objective: str) -> str:
    """The metric that judges confirm trials: the test protocol's twin of `objective`, else `objective` itself."""
    twin = "test/" + objective.split("/", 1)[-1]
    return twin if twin in trials and trials[twin].notna().any() else objective


def verdict(facts: StudyFacts, trials: pd.DataFrame) -> Verdict:
    """Says which tuned arm is best, by how much against the best adaptive scale, at what cost, and what stays open.

    The best arm of each group is the one with the highest confirm mean. That is itself a choice made on the test
    scores, and the text says so.
    """
    metric = confirm_metric(trials, facts.objective)
    summary = confirm_summary(trials, metric)
    table = paired_comparisons(trials, metric, facts.equivalence_margin)
    heads = [_head_to_head(summary, table, condition) for condition in conditions(trials)]
    name = metric_name(metric)
    duels = [duel for duel in heads if duel is not None]
    if not duels:
        headline = _nothing_to_compare(trials, summary)
        sentences = [headline]
    elif len(heads) == 1:
        words = _HEADLINES[duels[0].word] if duels[0].comparison["n"] >= 2 else _ONE_SEED
        headline = words.format(margin=name.magnitude(facts.equivalence_margin))
        sentences = [headline, *_one_condition(duels[0], name, metric, int(table["p_holm"].notna().sum()))]
    else:
        headline = _many_headline(duels, len(heads))
        sentences = [headline, *_many_conditions(duels, name)]
    sentences += _cost(trials, duels)
    sentences += _divergence(trials, metric, name)
    sentences += _undecided(table, facts.equivalence_margin, name)
    return Verdict(
        question=facts.question,
        headline=headline,
        paragraph=" ".join(sentences),
        lines=(headline, *_lines(summary, duels, name)),
        table=table,
    )


_HEADLINES = {
    BETTER: "Tuning is shown to pay: the best tuned arm beats the best adaptive scale.",
    WORSE: "Tuning is shown not to pay: the best tuned arm is worse than the best adaptive scale.",
    EQUIVALENT: "Tuning makes no difference that matters: the best tuned arm and the best adaptive scale are "
    "equivalent within ±{margin}.",
    NOT_SHOWN: "These seeds do not decide whether tuning pays.",
}
_ONE_SEED = "One seed cannot decide whether tuning pays."


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


def _head_to_head(summary: pd.DataFrame, table: pd.DataFrame, condition: str) -> _Duel | None:
    here = summary[(summary["condition"] == condition) & summary["mean"].notna()]
    tuned, adaptive = here[here["kind"].isin(TUNED)], here[here["kind"] == "adaptive"]
    if tuned.empty or adaptive.empty:
        return None
    best, rival = (group.iloc[int(group["mean"].to_numpy().argmax())] for group in (tuned, adaptive))
    row = table[(table["condition"] == condition) & (table["arm"] == best["arm"]) & (table["adaptive"] == rival["arm"])]
    return _Duel(condition, best, rival, row.iloc[0])


def _nothing_to_compare(trials: pd.DataFrame, summary: pd.DataFrame) -> str:
    kinds = set(arm_kinds(trials).values())
    if "adaptive" not in kinds:
        return "Nothing to compare with: the study has no arm whose scale sets itself."
    if kinds == {"adaptive"}:
        return "Nothing to compare: every arm of the study has a scale that sets itself."
    if summary["mean"].isna().all():
        return "No answer yet: no confirm trial has ended."
    return "No answer yet: no tuned arm and adaptive arm have both been confirmed in the same condition."


def _seeds(n: int) -> str:
    return "one fresh seed" if n == 1 else f"mean of {n} fresh seeds"


def _with_interval(row: pd.Series, name: MetricName) -> str:
    if not np.isfinite(row["low"]):
        return name.value(row["mean"])
    return f"{name.value(row['mean'])} (95 % interval {name.interval(row['low'], row['high'])})"


def _one_condition(duel: _Duel, name: MetricName, metric: str, comparisons: int) -> list[str]:
    tuned, adaptive, row = duel.tuned, duel.adaptive, duel.comparison
    point = point_text(tuned["s"], tuned["m"], str(tuned["loss"]))
    identities = "test" if metric.startswith("test/") else "validation"
    sentences = [
        f"The best tuned arm, {tuned['arm']}{f' at {point}' if point else ''}, reaches {name.title} = "
        f"{_with_interval(tuned, name)} on the {identities} identities, {_seeds(int(tuned['n']))}; the best "
        f"adaptive scale, {adaptive['arm']}, which needs no search, reaches {_with_interval(adaptive, name)}."
    ]
    if np.isfinite(row["p_holm"]):
        sentences.append(
            f"Paired by seed, the difference is {name.difference(row['difference'])} "
            f"(95 % interval {name.interval(row['low'], row['high'], sign=True)}; {p_text(row['p_holm'])} after Holm’s "
            f"adjustment for {comparisons} comparison{'s' if comparisons > 1 else ''}). "
            "Both were picked by these same scores, which flatters whichever was picked."
        )
    else:
        sentences.append(
            f"The difference is {name.difference(row['difference'])}; with one pair there is no interval and no test."
        )
    if np.isfinite(tuned["search_best"]) and np.isfinite(tuned["confirm_objective"]):
        sentences.append(
            f"The search had seen {name.value(tuned['search_best'])} on the validation identities; the same point "
            f"gives {name.value(tuned['confirm_objective'])} there with fresh seeds."
        )
    return sentences


def _many_headline(duels: Sequence[_Duel], total: int) -> str:
    count = {word: sum(duel.word == word for duel in duels) for word in (BETTER, WORSE, EQUIVALENT, NOT_SHOWN)}
    said = [
        f"{phrase} in {count[word]}"
        for word, phrase in (
            (BETTER, "shown better"),
            (WORSE, "shown worse"),
            (EQUIVALENT, "equivalent"),
            (NOT_SHOWN, "undecided"),
        )
        if count[word]
    ]
    open_ones = total - len(duels)
    said += [f"not confirmed in {open_ones}"] if open_ones else []
    return f"In {total} conditions, the best tuned arm against the best adaptive scale: {listed(said)}."


def _many_conditions(duels: Sequence[_Duel], name: MetricName) -> list[str]:
    ordered = sorted(duels, key=lambda duel: float(duel.comparison["difference"]))
    lowest, highest = ordered[0], ordered[-1]

    def told(duel: _Duel) -> str:
        row = duel.comparison
        within = f", 95 % interval {name.interval(row['low'], row['high'], sign=True)}" if row["n"] >= 2 else ""
        point = point_text(duel.tuned["s"], duel.tuned["m"], str(duel.tuned["loss"]))
        tuned = f"{duel.tuned['arm']} at {point}" if point else duel.tuned["arm"]
        difference = name.difference(row["difference"])
        return f"{difference} in {duel.condition} ({tuned} against {duel.adaptive['arm']}{within})"

    text = f"The difference in {name.title} ranges from {told(lowest)} to {told(highest)}."
    if lowest is highest:
        text = f"The difference in {name.title} is {told(lowest)}."
    return [text, "In each condition both were picked by these same scores, which flatters whichever was picked."]


def _cost(trials: pd.DataFrame, duels: Sequence[_Duel]) -> list[str]:
    search = trials[trials["phase"].isin(["search", "grid"])]
    if search.empty:
        return ["Nothing was searched."]
    device = "GPU" if "cost/gpu_s" in trials and (trials["cost/gpu_s"].fillna(0) > 0).any() else "CPU"
    seconds = compute_seconds(trials)
    searches = len(search.groupby(["condition", "arm", "search_seed"]))
    total = f"{len(search)} trials and {hours_text(seconds[search.index].sum() / 3600, device)}"
    if len(duels) != 1:
        return [f"The {searches} searches took {total}." if searches > 1 else f"The search took {total}."]
    tuned, adaptive = duels[0].tuned["arm"], duels[0].adaptive["arm"]
    mine = search[search["arm"] == tuned]
    once = seconds[(trials["arm"] == adaptive) & (trials["phase"] == "confirm")].mean() / 3600
    one_run = f"; one run of {adaptive} takes {hours_text(once, device)}" if np.isfinite(once) else ""
    if mine.empty:
        return [f"{tuned} was not searched; the searches of the other arms took {total}{one_run}."]
    spent = hours_text(seconds[mine.index].sum() / 3600, device)
    all_of_them = f"; all {searches} searches took {total}" if searches > 1 else ""
    return [f"Finding that point took {len(mine)} trials and {spent}{all_of_them}{one_run}."]


def _divergence(trials: pd.DataFrame, metric: str, name: MetricName) -> list[str]:
    diverged = trials[trials["status"] == "diverged"]
    sentences = []
    if diverged.empty:
        sentences.append("No trial diverged.")
    else:
        counts = diverged["arm"].value_counts().sort_index()
        arms = listed([f"{arm} {count}" for arm, count in counts.items()])
        text = f"{len(diverged)} of {len(trials)} trials diverged ({arms})"
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


def _undecided(table: pd.DataFrame, margin: float, name: MetricName) -> list[str]:
    if table.empty:
        return []
    count = table["word"].value_counts()
    open_rows = table[table["word"] == NOT_SHOWN]
    if open_rows.empty:
        return [f"All {len(table)} comparisons are decided." if len(table) > 1 else "The comparison is decided."]
    within = f"±{name.magnitude(margin)}"
    which = f"{len(open_rows)} of {len(table)} comparisons of a tuned arm with an adaptive scale show"
    which = "the comparison shows" if len(table) == 1 else which
    text = f"Undecided: {which} neither a difference nor equivalence within {within}"
    decided = [
        f"{count[word]} {phrase}"
        for word, phrase in ((BETTER, "better"), (WORSE, "worse"), (EQUIVALENT, "equivalent"))
        if word in count
    ]
    text += f" ({listed(decided)})." if decided else "."
    spreads = open_rows.loc[open_rows["n"] >= 2, "std"]
    if len(spreads) and spreads.median() > 0:
        needed = seeds_needed(float(spreads.median()), margin, most=_MOST_SEEDS)
        seeds = f"more than {_MOST_SEEDS:,}" if needed == _MOST_SEEDS else f"about {needed}"
        text += (
            f" With their median spread of {name.magnitude(spreads.median())} between pairs, {seeds} seeds would find "
            f"a difference of {name.magnitude(margin)} four times in five."
        )
    return [text]


def _lines(summary: pd.DataFrame, duels: Sequence[_Duel], name: MetricName) -> list[str]:
    rivals = {duel.condition: duel for duel in duels}
    several = summary["condition"].nunique() > 1
    width = max((len(arm) for arm in summary["arm"]), default=0)
    lines = []
    for row in summary.sort_values("mean", ascending=False, na_position="last", kind="stable").to_dict("records"):
        duel = rivals.get(row["condition"])
        bounds = f"[{name.interval(row['low'], row['high'])}]" if np.isfinite(row["low"]) else "[no interval]"
        note = row["kind"] if row["kind"] == "adaptive" else point_text(row["s"], row["m"], row["loss"])
        line = f"{row['arm']:<{width}}  {name.value(row['mean']):>7}  {bounds}  n={row['n']}  {note}".rstrip()
        if duel is not None and row["arm"] == duel.tuned["arm"]:
            line += f"  ({name.difference(duel.comparison['difference'])} against {duel.adaptive['arm']}: {duel.word})"
        lines.append(f"{row['condition']}: {line}" if several else line)
    return lines
