"""Trains a trial as one of its ranks: `python ranks_worker.py FOLDER RANK RANKS EPOCHS ARM HOME MEETING DATASETS`."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from hpstudy.record import StudyFolder, TrialRequest
from hpstudy.spec import parse_study
from hpstudy.training import ManyRanks, Objective, OneRank, TrialRun, load_trial_data

CPU = torch.device("cpu")


def main(folder: Path, rank: int, ranks: int, epochs: int, arm: str) -> None:
    torch.set_num_threads(1)
    sys.path.insert(0, str(folder))
    home = folder / f"home-{arm}-{sys.argv[6]}"
    company = OneRank()
    if ranks > 1:
        store = dist.FileStore(str(folder / f"store-{arm}-{sys.argv[6]}-{sys.argv[7]}"), ranks)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=ranks)
        company = ManyRanks(CPU)
    study = parse_study((folder / "study.yaml").read_text())
    asked = TrialRequest(arm=arm, condition="default", phase="search", search_seed=0, number=0, seed=0, params={})
    run = TrialRun(
        asked,
        study.trial_settings(arm, "default", {}),
        StudyFolder(home, "toy"),
        load_trial_data(study.spec.data, Path(sys.argv[8]), CPU),
        CPU,
        Objective(name="val/tar_at_far_1e-2"),
        ranks=company,
        gpus=float(ranks),
    )
    for _ in range(epochs):
        report = run.run_epoch()
        if report.ended:
            break
    print(report.ended, report.result.status, report.epoch)
    if ranks > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
