"""hpstudy: which scale s and margin m, at what cost, and is the search worth it against a scale that adapts itself?

    import hpstudy

    study = hpstudy.load_study("studies/quickstart.yaml")   # raises StudyFileError carrying every mistake
    results = hpstudy.run(study)                            # or hpstudy.open_results("quickstart")
    results.trials, results.trajectory(trial_id), results.verdict()

The names below are imported when they are first used, so `import hpstudy` costs next to nothing.
"""

import importlib
import os
from typing import Any

# hpstudy calls nobody; the libraries read these when they are imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

__version__ = "0.1.0"

_HOMES = {
    "HpstudyError": "hpstudy.exceptions",
    "InputError": "hpstudy.exceptions",
    "Results": "hpstudy.results",
    "Study": "hpstudy.spec",
    "StudyConflictError": "hpstudy.exceptions",
    "StudyFileError": "hpstudy.exceptions",
    "Verdict": "hpstudy.analysis",
    "build_head": "hpstudy.losses",
    "load_study": "hpstudy.spec",
    "open_results": "hpstudy.results",
    "parse_study": "hpstudy.spec",
    "plan": "hpstudy.workflow",
    "run": "hpstudy.workflow",
    "write_report": "hpstudy.results",
}

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hpstudy' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
