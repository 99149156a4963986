"""The networks that a study is worth keeping for: of each arm in each condition the best."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from hpstudy.exceptions import InputError
from hpstudy.record import StudyFolder
from hpstudy.spec import Condition, Study
from hpstudy.tracking._protocol import Row


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """The best network of an arm in a condition, before it is logged."""

    row: Row
    """The confirm trial that trained it."""
    name: str
    """Within the arm's run: `model`, in a study of several conditions `model-<condition>`."""
    condition: Condition
    """What the network was built from and trained on."""
    metric: str
    """What it is the best in, e.g. `val/tar_at_far_1e-3`."""
    confirmed: int
    """Confirm trials of the arm in the condition that it is the best of."""
    planned: int
    """How many of those the study asks for."""
    folder: StudyFolder
    """Holds its weights."""

    @property
    def arm(self) -> str:
        """The arm."""
        return str(self.row["arm"])

    @property
    def key(self) -> str:
        """What tells it apart within its study: `arm:condition`."""
        return f"{self.arm}:{self.condition.id}"

    @property
    def registered_name(self) -> str:
        """Its name in MLflow's registry unless somebody gives another: `study-arm` or `study-arm-condition`."""
        return f"{self.row['study']}-{self.arm}{self.name.removeprefix('model')}"

    @property
    def result(self) -> str:
        """What tells it apart from another model of the same key: the trial and its attempt."""
        row = self.row
        return f"{row['trial_id']} attempt {row.get('attempt', 0)} ended {row.get('ended_at')}"

    def weights(self) -> bytes | None:
        """The weights as the trial kept them; None where it kept none."""
        return self.folder.weights(str(self.row["trial_id"]))


def trained_models(folder: StudyFolder, study: Study, trials: pd.DataFrame) -> Iterator[TrainedModel]:
    """The best completed confirm trial of each arm in each condition, in the order of the study file.

    The best is the one with the highest objective, which is measured on the validation identities: a model that the
    test identities had chosen would have no honest test metric left. Of equal ones it is the first. A survey confirms
    nothing, and free points are no network: neither has a model.

    Args:
        folder: Holds the weights.
        study: The study.
        trials: Its finished trials, as the record has them.
    """
    conditions = study.conditions()
    seeds = study.spec.confirm.seeds
    for arm in study.arms:
        planned = seeds if arm.kind == "fixed" else seeds * len(study.spec.search.seeds)
        for condition in conditions:
            if condition.data.source == "free":
                continue
            ended = trials[
                (trials["arm"] == arm.name) & (trials["condition"] == condition.id) & (trials["phase"] == "confirm")
            ]
            able = ended[(ended["status"] == "completed") & ended["objective"].notna()]
            if able.empty:
                continue
            best = able.sort_values(["objective", "trial_id"], ascending=[False, True]).iloc[0]
            yield TrainedModel(
                row={str(name): value for name, value in best.items()},
                name="model" if len(conditions) == 1 else f"model-{condition.id}",
                condition=condition,
                metric=study.spec.search.primary,
                confirmed=len(ended),
                planned=planned,
                folder=folder,
            )


def pick_model(models: Sequence[TrainedModel], study: Study, arm: str, condition: str | None = None) -> TrainedModel:
    """One of a study's models.

    Args:
        models: Those that there are.
        study: The study.
        arm: Name of an arm.
        condition: Id of a condition; may be left out where the study has one.

    Raises:
        InputError: the study has no such arm or condition, several conditions and none is given, or no model there.
    """
    _known("arm", arm, study, [each.name for each in study.arms])
    places = [each.id for each in study.conditions()]
    if condition is not None:
        _known("condition", condition, study, places)
    elif len(places) > 1:
        raise InputError(f"study {study.name!r} has {len(places)} conditions; name one of them: {', '.join(places)}")
    for model in models:
        if (model.arm, model.condition.id) == (arm, condition or places[0]):
            return model
    if study.is_survey:
        raise InputError(f"study {study.name!r} is a survey: it confirms nothing, so none of its networks is the best")
    raise InputError(
        f"arm {arm!r} of study {study.name!r} has no model in condition {condition or places[0]!r}: none of its "
        "confirm trials has trained a network to its end; see `hpstudy status`"
    )


def _known(kind: str, given: str, study: Study, known: Sequence[str]) -> None:
    if given not in known:
        near = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"study {study.name!r} has no {kind} {given!r}{hint} ({kind}s: {', '.join(known)})")
