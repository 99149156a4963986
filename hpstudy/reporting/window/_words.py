"""Sentences of the notes that the study file alone decides."""

from collections.abc import Mapping

from hpstudy.analysis import listed, metric_name, value_text
from hpstudy.catalog import LOSSES, LossInfo
from hpstudy.spec import Arm, SearchRange, Study
from hpstudy.tracking import escaped, table

_KINDS = {"log": "logarithmic", "linear": "linear", "int": "whole numbers"}

HOW_TO_READ = (
    "**How to read it.** The tree is study → arm → trial. In the table of runs, filter by "
    "`tags.level = 'arm'` to see one line an arm, or by `tags.phase = 'confirm'` for the trials that count; group by "
    "the tag `arm` or `condition`. Select trials and open *Compare* or *Chart* for `train/theta_med_deg` (θ_med in "
    "degrees), `train/log_b_avg` (log B_avg) and `train/s` against the step; `train` in the search box of the charts "
    "leaves these. Parallel coordinates take the params `s` and `m`. `val/…` is what the search sees, `test/…` what "
    "counts."
)


def searched_words(study: Study, arm: Arm) -> str:
    """What is tuned, and how often."""
    spec = study.spec
    if arm.space:
        ranges = listed([f"{escaped(name)} {_range_text(entry)}" for name, entry in arm.space.items()])
        seeds = len(spec.search.seeds)
        each = f", in each of {seeds} searches" if seeds > 1 else ""
        return (
            f"searches {ranges}: {arm.search_trials(spec.search)} trials{each}, sampler {escaped(spec.search.sampler)}"
        )
    if arm.spec.grid:
        points = len(arm.grid_points())
        return f"lists {points} points of {listed([escaped(name) for name in arm.spec.grid])}"
    return "has nothing to tune"


def _range_text(entry: SearchRange) -> str:
    kind = next(iter(type(entry).model_fields))
    values = [value_text(value) for value in entry.values]
    if kind == "choice":
        return f"among {', '.join(values)}"
    return f"from {values[0]} to {values[-1]} ({_KINDS[kind]})"


def loss_words(arm: Arm) -> list[str]:
    """The loss: formula, paper, and the units of its s and m."""
    info: LossInfo | None = LOSSES.get(arm.loss)
    if info is None:
        return [f"Loss **{escaped(arm.loss)}**."]
    blocks = [
        f"Loss **{escaped(info.title)}** (`{info.name}`): {escaped(info.formula)}",
        f"Paper: {escaped(info.paper)}",
    ]
    if info.parameters:
        rows = [
            [f"`{name}`", escaped(row.unit), escaped(row.meaning), value_text(row.default)]
            for name, row in info.parameters.items()
        ]
        blocks.append(table(["parameter", "unit", "meaning", "default"], rows))
    return blocks


def plan_words(study: Study) -> str:
    """What is judged, by what, and how many trials that takes."""
    spec = study.spec
    planned: Mapping[str, int] = study.planned_trials()
    counts = listed([f"{count} {phase}" for phase, count in planned.items() if count])
    goal = metric_name(spec.search.primary).title
    places = study.conditions()
    where = f" in each of {len(places)} conditions" if len(places) > 1 else ""
    if study.is_survey:
        return f"A survey: every listed point is trained and judged{where}. Planned trials: {counts}."
    return (
        f"The search follows {goal} (`{spec.search.primary}`); the chosen point of every arm is then trained anew "
        f"on {spec.confirm.seeds} fresh seeds{where}. Planned trials: {counts}."
    )
