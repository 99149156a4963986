"""Runs a study on Ray: the planner decides, Tune executes, the record is the truth."""

from hpstudy.execution._doctor import Finding, examine
from hpstudy.execution._driver import RunOutcome, run_study
from hpstudy.execution._progress import ArmProgress, Progress

__all__ = ["ArmProgress", "Finding", "Progress", "RunOutcome", "examine", "run_study"]
