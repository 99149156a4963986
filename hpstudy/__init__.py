"""hpstudy: which scale s and margin m, at what cost, and is the search worth it against a scale that adapts itself?

    import hpstudy

    study = hpstudy.load_study("studies/quickstart.yaml")   # raises StudyFileError carrying every mistake
    results = hpstudy.run(study)                            # or hpstudy.open_results("quickstart")
    results.trials, results.trajectory(trial_id), results.verdict()

The names below are imported when they are first used, so `import hpstudy` costs next to nothing.
"""

import os

from hpstudy.facades import on_demand

# hpstudy calls nobody; the libraries read these when they are imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

__version__ = "0.1.0"

_HOMES = {
    "HpstudyError": "exceptions",
    "InputError": "exceptions",
    "Results": "results",
    "Study": "spec",
    "StudyConflictError": "exceptions",
    "StudyFileError": "exceptions",
    "Verdict": "analysis",
    "build_head": "losses",
    "load_study": "spec",
    "open_results": "results",
    "parse_study": "spec",
    "plan": "workflow",
    "run": "workflow",
    "write_report": "results",
}

__all__ = sorted([*_HOMES, "__version__"])
__getattr__ = on_demand(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
