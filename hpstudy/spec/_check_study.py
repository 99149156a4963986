"""What only the whole file shows: paths into other sections, conditions, early stopping, the size of grids."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hpstudy.spec._arms import ArmSpec
from hpstudy.spec._check_arms import check_arm
from hpstudy.spec._conditions import condition_id
from hpstudy.spec._draft import Draft, Path
from hpstudy.spec._errors import message_of
from hpstudy.spec._names import given, listed, nearest
from hpstudy.spec._objectives import GPU_COSTS
from hpstudy.spec._paths import FIELDS, SEARCHABLE, Trained
from hpstudy.spec._ranges import LinearRange, LogRange
from hpstudy.spec._study import Arm
from hpstudy.spec._study_spec import StudySpec

_EPOCHS = "training.epochs"
_FITTED = {"data.image_size", "data.source", "model.name"}
_HELD_OUT = ("val", "test")
_MAX_CONDITIONS = 1000


def check_study(draft: Draft) -> None:
    """Report every mistake that the sections, each for itself, don't show."""
    spec = draft.spec
    trained = Trained(data=spec.data, model=spec.model, training=spec.training)
    for name, arm in spec.arms.items():
        if draft.has("arms", name):
            check_arm(draft, name, arm)
            _check_training_fields(draft, name, arm, trained)
    _check_fit(draft, trained)
    _check_survey(draft)
    _check_conditions(draft, trained)
    if several := _several_objectives(draft):
        _check_objectives(draft, several)
    else:
        _check_early_stopping(draft)
    _check_grid(draft, trained)


def _check_training_fields(draft: Draft, name: str, arm: ArmSpec, trained: Trained) -> None:
    entries: list[tuple[str, str, Any, tuple[float, ...]]] = [
        *(("search", path, entry, entry.values) for path, entry in (arm.search or {}).items()),
        *(("grid", path, None, values) for path, values in (arm.grid or {}).items()),
    ]
    for section, path, entry, values in entries:
        if path.partition(".")[0] not in ("training", "model", "data"):
            continue
        where = ("arms", name, section, path)
        if path not in SEARCHABLE:
            draft.report(where, _unsearchable(path))
            continue
        if path in draft.spec.conditions:
            draft.report(where, f"{path} is a condition of the study, so an arm can't search it; remove one of the two")
        if SEARCHABLE[path] is int and isinstance(entry, LogRange | LinearRange):
            draft.report(where, f"{path} is a whole number; use {{int: [low, high]}} or {{choice: [...]}}")
        else:
            wrong = [_refusal(trained, {path: value}) for value in values]
            if any(wrong):
                draft.report(where, "; ".join(dict.fromkeys(text for text in wrong if text)))


def _unsearchable(path: str) -> str:
    numbers = f"(numbers: {listed(SEARCHABLE)})"
    if path in FIELDS:
        why = "is the same for all arms" if path.startswith("data.") else "is not a number"
        return f"{path} {why}, so it can't be searched {numbers}"
    return f"there is no field {path}{nearest(path, SEARCHABLE) or f' {numbers}'}"


def _refusal(trained: Trained, values: Mapping[str, Any]) -> str:
    """Why values are refused in their sections; empty if they are not."""
    try:
        trained.having(values)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        return message_of(details, tuple(next(iter(values)).split(".")))
    return ""


def _check_fit(draft: Draft, trained: Trained) -> None:
    """The study's own values, unless conditions replace them."""
    given_here = all(draft.trusted(*path.split(".")) for path in _FITTED) and not _FITTED & set(draft.spec.conditions)
    if given_here and (wrong := trained.misfit()):
        draft.report(("data", "source" if "go together" in wrong else "image_size"), wrong)


def _check_survey(draft: Draft) -> None:
    """A survey chooses nothing; only there may a split be empty, since nothing needs it."""
    if not draft.trusted("confirm", "seeds"):
        return
    spec = draft.spec
    if spec.confirm.seeds == 0:
        for name, arm in spec.arms.items():
            if arm.search is not None:
                draft.report(
                    ("arms", name, "search"),
                    "a search chooses a point, and with confirm.seeds: 0 nobody would judge it; list points with grid, "
                    "or ask for confirm seeds",
                )
        return
    for split in _HELD_OUT:
        path = f"data.identities.{split}"
        where: Path = ("data", "identities", split)
        values: tuple[Any, ...] = (getattr(spec.data.identities, split),)
        if path in spec.conditions:
            where, values = ("conditions", path), spec.conditions[path]
        if 0 in values and draft.trusted(*where):
            draft.report(
                where,
                f"a study that chooses points judges them on {split} identities, so it needs at least 2; only a survey "
                "(confirm: {seeds: 0}) goes without",
            )


def _check_conditions(draft: Draft, trained: Trained) -> None:
    sound: dict[str, tuple[Any, ...]] = {}
    if not draft.has("conditions") or not isinstance(draft.root.at(("conditions",)).value, dict):
        return
    for path in draft.root.at(("conditions",)).value:
        where: Path = ("conditions", path)
        if path not in FIELDS:
            known = nearest(path, FIELDS) or f" (a condition varies one of: {listed(FIELDS)})"
            draft.report(where, f"there is no field {path}{known}")
            continue
        values = draft.spec.conditions.get(path, ())
        if values:
            sound[path] = values
    if not sound:
        return
    number = math.prod(len(values) for values in sound.values())
    if number > _MAX_CONDITIONS:
        draft.report(("conditions",), f"{number} combinations of conditions are more than {_MAX_CONDITIONS}")
        return
    whole = all(draft.trusted(section) for section in ("data", "model", "training"))
    if _check_condition_values(draft, trained, sound) and whole:
        _check_combinations(draft, trained, sound)


def _check_condition_values(draft: Draft, trained: Trained, factors: Mapping[str, tuple[Any, ...]]) -> bool:
    """Each value alone; only what other factors can't put right is a mistake here."""
    fine = True
    for path, values in factors.items():
        for index, value in enumerate(values):
            try:
                trained.having({path: value})
            except ValidationError as error:
                details = error.errors(include_url=False)[0]
                if "fields" not in details.get("ctx", {}):
                    fine = False
                    draft.report(("conditions", path, index), message_of(details, tuple(path.split("."))))
    return fine


def _check_combinations(draft: Draft, trained: Trained, factors: Mapping[str, tuple[Any, ...]]) -> None:
    seen: dict[str, str] = {}
    refused: set[str] = set()
    for combination in itertools.product(*factors.values()):
        values = dict(zip(factors, combination, strict=True))
        wrong = _refusal(trained, values) or (trained.having(values).misfit() if _FITTED & set(factors) else "")
        if wrong and wrong not in refused:
            refused.add(wrong)
            draft.report(("conditions",), f"with {_written(values)}: {wrong}")
        name = condition_id(values)
        if name in seen:
            draft.report(("conditions",), f"{seen[name]} and {_written(values)} would both be called {name!r}")
        seen[name] = _written(values)


def _written(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{path} {given(value)}" for path, value in values.items())


def _several_objectives(draft: Draft) -> int:
    """How many objectives the file lists, right or wrong, if more than one; else 0."""
    listed_here = draft.root.at(("search", "objective")).value if draft.has("search", "objective") else None
    return len(listed_here) if isinstance(listed_here, list) and len(listed_here) > 1 else 0


def _check_objectives(draft: Draft, number: int) -> None:
    """Whether several objectives go together with the sampler, with early stopping and with what a trial takes."""
    search, resources = draft.spec.search, draft.spec.resources
    if search.sampler == "cmaes":
        draft.report(
            ("search", "sampler"),
            f"cmaes follows a single objective, but search.objective lists {number}; use tpe, random, qmc, grid or gp",
        )
    if draft.has("search", "early_stopping") and search.early_stopping.kind != "none":
        draft.report(
            ("search", "early_stopping"),
            f"a trial that is stopped early shows neither what it would have scored nor what it would have cost, so "
            f"with {number} objectives every trial runs its whole budget; remove early_stopping, or write "
            "{kind: none}",
        )
    for index, name in enumerate(search.objectives):
        if name in GPU_COSTS and not resources.gpus and draft.trusted("resources", "gpus"):
            draft.report(
                ("search", "objective", index),
                f"without a GPU {name} does not tell trials apart; use cost/cpu_s or cost/wall_s, or give trials a GPU "
                "(resources.gpus)",
            )


def _check_early_stopping(draft: Draft) -> None:
    spec, where = draft.spec, ("search", "early_stopping", "grace_epochs")
    grace, epochs = spec.search.early_stopping.grace_epochs, _fewest_epochs(spec)
    if spec.search.early_stopping.kind == "none" or not any(draft.has("arms", name, "search") for name in spec.arms):
        return
    if draft.trusted("search", "early_stopping") and draft.trusted("training", "epochs") and grace >= epochs:
        default = "" if draft.has(*where) else " (the default)"
        draft.report(
            where,
            f"must be below training.epochs, or no trial ends early, but got {grace}{default} with {epochs} epochs; "
            "lower it, or write early_stopping: {kind: none}",
        )


def _check_grid(draft: Draft, trained: Trained) -> None:
    """Whether sampler grid can try both ends of every range of every arm."""
    search = draft.spec.search
    known = all(draft.trusted("search", name) for name in ("sampler", "trials", "paper_defaults"))
    if search.sampler != "grid" or not known:
        return
    arms = [Arm(name=name, spec=arm, trained=trained) for name, arm in draft.spec.arms.items()]
    needs = {arm.name: arm.fewest_factorial_trials(search) for arm in arms if arm.space}
    needs = {name: need for name, need in needs.items() if draft.trusted("arms", name)}
    short = {name: need for name, need in needs.items() if need > search.trials}
    if short:
        listed_needs = ", ".join(f"{name} {need}" for name, need in short.items())
        default = "" if draft.has("search", "trials") else " (the default)"
        draft.report(
            ("search", "trials"),
            f"sampler grid tries both ends of every range, every value of a choice and the paper's default; that is "
            f"at least {max(short.values())} trials ({listed_needs}), but got {search.trials}{default}",
        )


def _fewest_epochs(spec: StudySpec) -> int:
    """The shortest trial of the study: epochs may be a condition, or searched."""
    listed_epochs = [value for value in spec.conditions.get(_EPOCHS, ()) if isinstance(value, int)]
    ranges = [arm.search[_EPOCHS] for arm in spec.arms.values() if arm.search and _EPOCHS in arm.search]
    searched = [int(value) for entry in ranges for value in entry.values]
    return min([*listed_epochs, *searched], default=spec.training.epochs)
