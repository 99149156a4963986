"""Trains a trial as one of its ranks: `python ranks_worker.py FOLDER RANK RANKS EPOCHS ARM HOME MEETING DATASETS`."""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from hpstudy.record import StudyFolder, TrialRequest
from hpstudy.spec import parse_study
from hpstudy.training import ManyRanks, Objective, Ranks, TrialRun, load_trial_data

CPU = torch.device("cpu")


def train(folder: Path, arm: str, home: str, epochs: int, datasets: Path, company: Ranks, count: int) -> str:
    """Trains the study's trial of an arm for some epochs; says whether it ended, as what, and its last epoch."""
    study = parse_study((folder / "study.yaml").read_text())
    asked = TrialRequest(arm=arm, condition="default", phase="search", search_seed=0, number=0, seed=0, params={})
    run = TrialRun(
        asked,
        study.trial_settings(arm, "default", {}),
        StudyFolder(folder / f"home-{arm}-{home}", "toy"),
        load_trial_data(study.spec.data, datasets, CPU),
        CPU,
        Objective(name="val/tar_at_far_1e-2"),
        ranks=company,
        gpus=float(count),
    )
    for _ in range(epochs):
        report = run.run_epoch()
        if report.ended:
            break
    return f"{report.ended} {report.result.status} {report.epoch}"


def main(folder: Path, rank: int, ranks: int, epochs: int, arm: str, home: str, meeting: str, datasets: Path) -> None:
    """One of several ranks, a process of its own."""
    torch.set_num_threads(1)
    sys.path.insert(0, str(folder))
    store = dist.FileStore(str(folder / f"store-{arm}-{home}-{meeting}"), ranks)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=ranks)
    told = train(folder, arm, home, epochs, datasets, ManyRanks(CPU), ranks)
    dist.barrier()
    print(told, flush=True)
    # Not through Python's end: a thread of gloo that then lets go of its last tensor aborts the process.
    os._exit(0)


if __name__ == "__main__":
    folder, rank, ranks, epochs, arm, home, meeting, datasets = sys.argv[1:]
    main(Path(folder), int(rank), int(ranks), int(epochs), arm, home, meeting, Path(datasets))
