"""The process in which a probe times trials, with the threads and the device of a study's worker.

It reads one JSON job a line from stdin and answers each with one line, so that several of them keep in step.
"""

import json
import math
import os
import sys
import tempfile
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hpstudy.exceptions import InputError
from hpstudy.execution._inputs import check_arms, check_data
from hpstudy.spec import TrialSettings, parse_study
from hpstudy.training import Objective, load_trial_data, pick_device, time_trial


def main() -> None:
    """Works off jobs until stdin closes."""
    datasets, cpus, gpus = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the user's own code prints is no answer
    torch.set_num_threads(max(1, math.ceil(cpus)))
    for line in sys.stdin:
        job = json.loads(line)
        try:
            answer = _do(job, datasets, gpus)
        except InputError as error:
            answer = {"refused": str(error)}
        except Exception as error:  # whatever the user's code or the device raises
            traceback.print_exc()
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def _do(job: dict[str, Any], datasets: Path, gpus: float) -> dict[str, Any]:
    match job["do"]:
        case "check":
            return _check(job, datasets)
        case "time":
            return _time(job, datasets, gpus)
    return {"start_s": time.process_time()}


def _check(job: dict[str, Any], datasets: Path) -> dict[str, Any]:
    study = parse_study(job["study"])
    check_data(study, datasets)
    check_arms(study, datasets)
    return {"gpus": torch.cuda.device_count() if torch.cuda.is_available() else 0}


def _time(job: dict[str, Any], datasets: Path, gpus: float) -> dict[str, Any]:
    device = pick_device(gpus)
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
    settings = TrialSettings.from_json(job["settings"])
    begun = time.perf_counter()
    data = load_trial_data(settings.data, datasets, device)
    data_s = time.perf_counter() - begun
    with tempfile.TemporaryDirectory(dir=datasets) as scratch:
        timing = time_trial(
            settings,
            [TrialSettings.from_json(text) for text in job["heads"]],
            data,
            device,
            Objective.of(job["objectives"]),
            Path(scratch),
            budget_s=job["budget_s"],
        )
    return {"data_s": data_s, **asdict(timing)}


if __name__ == "__main__":
    main()
