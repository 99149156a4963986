"""Whether a study's data and parts are fit, found out before anything starts."""

from pathlib import Path
from typing import NamedTuple

import torch

from hpstudy.exceptions import InputError
from hpstudy.spec import Condition, IntRange, Study
from hpstudy.training import Objective, TrialData, check_parts, load_trial_data


class DataLook(NamedTuple):
    """What was seen of the data of a condition."""

    content_hash: str
    images: str
    """How many each split has, e.g. `288 train, 192 val, 240 test`; of source `free` its samples."""


def check_data(study: Study, datasets: Path) -> dict[str, DataLook]:
    """Loads the data of every condition, so that a mistake shows before anything is written.

    Returns:
        What was seen of each condition's data.

    Raises:
        InputError: data are missing, or too few for the splits, the batch size or the objective's FAR.
    """
    problems: list[str] = []
    looks: dict[str, DataLook] = {}
    for condition in study.conditions():
        try:
            data = load_trial_data(condition.data, datasets, torch.device("cpu"))
            looks[condition.id] = DataLook(data.content_hash, _count_images(data))
            problems += _wrong_batches(study, condition, images=len(data.shown))
            objective = Objective.of(study.spec.search.objectives)
            for held_out in (data.val, data.test):
                if held_out is not None:
                    objective.check(held_out.labels)
        except InputError as error:
            problems.append(f"condition {condition.id}: {error}")
    if problems:
        raise InputError("\n".join(problems))
    return looks


def _count_images(data: TrialData) -> str:
    held_out = {"val": data.val, "test": data.test}
    counts = {"train": len(data.train_labels)}
    counts |= {name: len(split.labels) for name, split in held_out.items() if split is not None}
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _wrong_batches(study: Study, condition: Condition, *, images: int) -> list[str]:
    """What is to be said of batch sizes that the training set does not fill, or the GPUs of a trial can't share."""
    ranks, tried = max(1, int(study.spec.resources.gpus)), _batch_sizes(study, condition)
    too_large = [
        f"{where}: training.batch_size must be at most the number of training samples, {images}, but is {max(sizes):g}"
        for where, sizes in tried.items()
        if max(sizes) > images
    ]
    return too_large + [
        f"{where}: training.batch_size must be a multiple of resources.gpus, {ranks}, but "
        f"{', '.join(f'{size:g}' for size in uneven[:3])}{', …' * (len(uneven) > 3)} would be tried"
        for where, sizes in tried.items()
        if (uneven := [size for size in sizes if size % ranks])
    ]


def _batch_sizes(study: Study, condition: Condition) -> dict[str, list[float]]:
    """The batch size of a condition, and all that each arm may try, by where they are from."""
    name = "training.batch_size"
    tried: dict[str, list[float]] = {f"condition {condition.id}": [condition.training.batch_size]}
    for arm in study.arms:
        sizes = [point[name] for point in arm.grid_points() if name in point]
        if isinstance(asked := arm.space.get(name), IntRange):
            sizes += range(asked.low, asked.high + 1)
        elif asked is not None:
            sizes += asked.values
        if sizes:
            tried[f"condition {condition.id}, arm {arm.name}"] = sizes
    return tried


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
            if study.spec.resources.gpus > 1 and not (settings.head.margin or settings.head.criterion):
                problems.append(
                    f"arm {arm.name}, condition {condition.id}: loss {settings.head.loss!r} is your own and would see "
                    "a part of the batch: set resources.gpus to 1 or less"
                )
            if ":" in settings.head.loss or ":" in settings.model.name:
                data = load_trial_data(condition.data, datasets, torch.device("cpu"))
                try:
                    check_parts(settings, channels=data.channels)
                except InputError as error:
                    problems.append(f"arm {arm.name}, condition {condition.id}: {error}")
    if problems:
        raise InputError("\n".join(problems))
