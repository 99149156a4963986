"""Runs a study on Ray: the planner decides, Tune executes, the record is the truth."""

from typing import TYPE_CHECKING

from hpstudy.facades import on_demand

if TYPE_CHECKING:
    from hpstudy.execution._cluster import cluster_address
    from hpstudy.execution._doctor import Finding, examine
    from hpstudy.execution._driver import RunOutcome, run_study
    from hpstudy.execution._forecast import ArmPlan, Forecast
    from hpstudy.execution._job_output import JobOutput
    from hpstudy.execution._jobs import Job, StudyJobs
    from hpstudy.execution._plan import Plan, plan_study
    from hpstudy.execution._power_note import AtSpread, PowerNote
    from hpstudy.execution._progress import ArmProgress, Progress
    from hpstudy.execution._shipment import Shipment, resume_shipment, study_shipment

__all__ = [
    "ArmPlan",
    "ArmProgress",
    "AtSpread",
    "Finding",
    "Forecast",
    "Job",
    "JobOutput",
    "Plan",
    "PowerNote",
    "Progress",
    "RunOutcome",
    "Shipment",
    "StudyJobs",
    "cluster_address",
    "examine",
    "plan_study",
    "resume_shipment",
    "run_study",
    "study_shipment",
]

_MODULES = {
    "ArmPlan": "_forecast",
    "ArmProgress": "_progress",
    "AtSpread": "_power_note",
    "Finding": "_doctor",
    "Forecast": "_forecast",
    "Job": "_jobs",
    "JobOutput": "_job_output",
    "Plan": "_plan",
    "PowerNote": "_power_note",
    "Progress": "_progress",
    "RunOutcome": "_driver",
    "Shipment": "_shipment",
    "StudyJobs": "_jobs",
    "cluster_address": "_cluster",
    "examine": "_doctor",
    "plan_study": "_plan",
    "resume_shipment": "_shipment",
    "run_study": "_driver",
    "study_shipment": "_shipment",
}

# Every worker imports this package for its trainable; it has no use for Optuna, MLflow and the rest of the driver.
__getattr__ = on_demand(__name__, _MODULES)
