"""The whole study file as one frozen model."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from hpstudy.spec._arms import ArmSpec
from hpstudy.spec._data import DataSpec, ModelSpec
from hpstudy.spec._fields import STUDY_NAME, Scalar, Section
from hpstudy.spec._ranges import refuse_doubles
from hpstudy.spec._search import ConfirmSpec, ResourcesSpec, SearchSpec
from hpstudy.spec._training import TrainingSpec


def _study_name(name: str) -> str:
    if not STUDY_NAME.fullmatch(name):
        raise PydanticCustomError(
            "study_name",
            "a study's name is a folder name: letters, digits, - and _, at most 100, starting with a letter or digit, "
            "but got {name}",
            {"name": repr(name)},
        )
    return name


class StudySpec(Section):
    """A study: a question, its data, arms, budget and statistics."""

    version: Literal[1]
    """Version of the format: 1."""
    name: Annotated[str, AfterValidator(_study_name)]
    """Name of the study and of its folder: letters, digits, - and _."""
    question: str = ""
    """What the study is to answer, in a sentence; it heads the report. Default empty."""
    data: DataSpec = DataSpec()
    """What the study learns from and is judged on."""
    model: ModelSpec = ModelSpec()
    """The network from an image to an embedding."""
    training: TrainingSpec = TrainingSpec()
    """How one trial trains."""
    conditions: dict[str, Annotated[tuple[Scalar, ...], Field(min_length=1), AfterValidator(refuse_doubles)]] = Field(
        default={}
    )
    """Blocking factors: dotted path of a field of data, model or training, and its values; every arm runs in every
    combination. Example: {data.identities.train: [100, 300], model.embedding_dim: [64, 256]}. Default none."""
    arms: Annotated[dict[str, ArmSpec], Field(min_length=1)]
    """The methods to compare, by name (letters, digits, - and _); at least one."""
    search: SearchSpec = SearchSpec()
    """How the searched arms choose their points."""
    confirm: ConfirmSpec = ConfirmSpec()
    """How the chosen points are confirmed."""
    resources: ResourcesSpec = ResourcesSpec()
    """What one trial takes."""
