"""Whether a study's data and parts are fit, found out before anything starts."""

from pathlib import Path

import torch

from hpstudy.exceptions import InputError
from hpstudy.spec import Study
from hpstudy.training import Objective, check_parts, load_trial_data


def check_data(study: Study, datasets: Path) -> dict[str, str]:
    """Loads the data of every condition, so that a mistake shows before anything is written.

    Returns:
        Content hash of the data of each condition.

    Raises:
        InputError: data are missing, or too few for the splits, the batch size or the objective's FAR.
    """
    problems: list[str] = []
    hashes: dict[str, str] = {}
    for condition in study.conditions():
        try:
            data = load_trial_data(condition.data, datasets, torch.device("cpu"))
            hashes[condition.id] = data.content_hash
            images, batch = len(data.train_labels), condition.training.batch_size
            if batch > images:
                problems.append(
                    f"condition {condition.id}: training.batch_size must be at most the number of training images, "
                    f"{images}, but is {batch}"
                )
            objective = Objective(name=study.spec.search.objective)
            for labels in (data.val_labels, data.test_labels):
                objective.check(labels)
        except InputError as error:
            problems.append(f"condition {condition.id}: {error}")
    if problems:
        raise InputError("\n".join(problems))
    return hashes


def check_arms(study: Study, datasets: Path) -> None:
    """Builds what the user named by `module:attribute` and runs it once, before anything is written.

    Raises:
        InputError: it can't be imported or built, or does not give what a trial needs.
    """
    problems: list[str] = []
    for condition in study.conditions():
        for arm in study.arms:
            params = arm.grid_points()[0] if arm.kind == "grid" else {n: r.values[0] for n, r in arm.space.items()}
            settings = study.trial_settings(arm.name, condition.id, params)
            if ":" in settings.head.loss or ":" in settings.model.name:
                data = load_trial_data(condition.data, datasets, torch.device("cpu"))
                try:
                    check_parts(settings, channels=data.channels)
                except InputError as error:
                    problems.append(f"arm {arm.name}, condition {condition.id}: {error}")
    if problems:
        raise InputError("\n".join(problems))
