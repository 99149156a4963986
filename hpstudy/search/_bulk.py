"""Many trials at once for an Optuna storage."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial


def add_trials(storage: RDBStorage, study_id: int, trials: Sequence[FrozenTrial], *, first_id: int) -> None:
    """Does what `optuna.Study.add_trials` does, in one transaction and without a look at what is there.

    That one asks the database for each attribute of each trial first, a tenth of a second a trial.

    Args:
        storage: Where nobody else writes.
        study_id: An Optuna study without trials.
        trials: Its trials, which get the numbers 0, 1, 2, …
        first_id: Id of the first trial in the storage, above all ids there.
    """
    with storage.scoped_session() as session:
        for number, trial in enumerate(trials):
            trial._validate()
            identity = {"trial_id": first_id + number, "number": number, "study_id": study_id, "state": trial.state}
            times = {"datetime_start": trial.datetime_start, "datetime_complete": trial.datetime_complete}
            session.add(models.TrialModel(**identity, **times))
            session.add_all(_rows(first_id + number, trial))
        session.commit()


def _rows(trial_id: int, trial: FrozenTrial) -> Iterator[Any]:
    """What a trial has in the tables beside that of the trials."""
    for objective, value in enumerate(trial.values or ()):
        stored, kind = models.TrialValueModel.value_to_stored_repr(value)
        yield models.TrialValueModel(trial_id=trial_id, objective=objective, value=stored, value_type=kind)
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        yield models.TrialParamModel(
            trial_id=trial_id,
            param_name=name,
            param_value=distribution.to_internal_repr(value),
            distribution_json=distribution_to_json(distribution),
        )
    for step, value in trial.intermediate_values.items():
        stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
        yield models.TrialIntermediateValueModel(
            trial_id=trial_id, step=step, intermediate_value=stored, intermediate_value_type=kind
        )
    for model, attributes in (
        (models.TrialUserAttributeModel, trial.user_attrs),
        (models.TrialSystemAttributeModel, trial.system_attrs),
    ):
        for key, told in attributes.items():
            yield model(trial_id=trial_id, key=key, value_json=json.dumps(told))
