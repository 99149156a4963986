"""Study files: read, checked as a whole, and turned into arms, conditions and the settings of trials.

`load_study` gives a `Study`, or raises with every mistake of the file at once. The models are frozen; the text under
each of their fields is what `study_schema` shows in an editor.
"""

from hpstudy.spec._arms import ArmSpec, PartSpec
from hpstudy.spec._conditions import Condition
from hpstudy.spec._data import AugmentSpec, DataSpec, IdentitiesSpec, ModelSpec
from hpstudy.spec._load import load_study, parse_study
from hpstudy.spec._objectives import chance_of, is_cost
from hpstudy.spec._ranges import Choice, IntRange, LinearRange, LogRange, SearchRange
from hpstudy.spec._resolve import diff_studies
from hpstudy.spec._schema import study_schema
from hpstudy.spec._search import ConfirmSpec, EarlyStoppingSpec, ResourcesSpec, SearchSpec
from hpstudy.spec._study import Arm, Study
from hpstudy.spec._study_spec import StudySpec
from hpstudy.spec._training import OptimizerSpec, TrainingSpec
from hpstudy.spec._trial_settings import HeadSettings, TrialSettings

__all__ = [
    "Arm",
    "ArmSpec",
    "AugmentSpec",
    "Choice",
    "Condition",
    "ConfirmSpec",
    "DataSpec",
    "EarlyStoppingSpec",
    "HeadSettings",
    "IdentitiesSpec",
    "IntRange",
    "LinearRange",
    "LogRange",
    "ModelSpec",
    "OptimizerSpec",
    "PartSpec",
    "ResourcesSpec",
    "SearchRange",
    "SearchSpec",
    "Study",
    "StudySpec",
    "TrainingSpec",
    "TrialSettings",
    "chance_of",
    "diff_studies",
    "is_cost",
    "load_study",
    "parse_study",
    "study_schema",
]
