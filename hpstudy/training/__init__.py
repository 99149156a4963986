"""One trial: from its settings and seed to its record. Knows no scheduler and no tracker."""

from hpstudy.training._devices import describe_device, make_ready, peak_memory_mb, pick_device, torch_facts
from hpstudy.training._judging import Objective
from hpstudy.training._parts import check_parts
from hpstudy.training._ranks import ManyRanks, OneRank, Ranks
from hpstudy.training._run import EpochReport, TrialRun
from hpstudy.training._stepping import MicroBatches, Stepping, WholeBatch
from hpstudy.training._timing import TrialTiming, time_trial
from hpstudy.training._trial_data import TrialData, load_trial_data

__all__ = [
    "EpochReport",
    "ManyRanks",
    "MicroBatches",
    "Objective",
    "OneRank",
    "Ranks",
    "Stepping",
    "TrialData",
    "TrialRun",
    "TrialTiming",
    "WholeBatch",
    "check_parts",
    "describe_device",
    "load_trial_data",
    "make_ready",
    "peak_memory_mb",
    "pick_device",
    "time_trial",
    "torch_facts",
]
