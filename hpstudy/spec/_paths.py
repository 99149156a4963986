"""Dotted paths to the fields of data, model and training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from hpstudy.spec._data import DataSpec, ModelSpec
from hpstudy.spec._errors import bare
from hpstudy.spec._fields import Section
from hpstudy.spec._training import TrainingSpec

_CONVNET_STEP = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The three sections that say what one trial trains, and on what."""

    data: DataSpec
    model: ModelSpec
    training: TrainingSpec

    def get(self, path: str) -> Any:
        """The value at a path."""
        value: Any = self
        for name in path.split("."):
            value = getattr(value, name)
        return value

    def misfit(self) -> str:
        """Why the sections, each valid for itself, can't go together; empty if they can."""
        if (self.data.source == "free") != (self.model.name == "free"):
            return (
                f"data.source free and model.name free go together, but got source {self.data.source} with model "
                f"{self.model.name}"
            )
        if self.model.name == "convnet" and self.data.image_size % _CONVNET_STEP:
            return (
                f"convnet halves the image three times, so data.image_size is a multiple of {_CONVNET_STEP}, "
                f"but got {self.data.image_size}"
            )
        return ""

    def having(self, values: Mapping[str, Any]) -> "Trained":
        """The same with other values, validated anew.

        Raises:
            pydantic.ValidationError: If a value is not allowed there.
        """
        sections = {name: getattr(self, name).model_dump() for name in ("data", "model", "training")}
        for path, value in values.items():
            *parents, last = path.split(".")
            target: Any = sections
            for name in parents:
                target = target[name]
            target[last] = value
        return Trained(
            data=DataSpec.model_validate(sections["data"]),
            model=ModelSpec.model_validate(sections["model"]),
            training=TrainingSpec.model_validate(sections["training"]),
        )


def _fields(section: type[Section], prefix: str) -> Iterator[tuple[str, type]]:
    for name, field in section.model_fields.items():
        annotation = bare(field.annotation)
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield from _fields(annotation, f"{prefix}.{name}")
        elif get_origin(annotation) is Literal:
            yield f"{prefix}.{name}", type(get_args(annotation)[0])
        else:
            yield f"{prefix}.{name}", annotation


FIELDS: Mapping[str, type] = {
    **dict(_fields(DataSpec, "data")),
    **dict(_fields(ModelSpec, "model")),
    **dict(_fields(TrainingSpec, "training")),
}
"""Type of every field that can be a blocking factor."""
SEARCHABLE: Mapping[str, type] = {
    path: kind for path, kind in FIELDS.items() if kind in (int, float) and not path.startswith("data.")
}
"""The numbers that an arm can search beside the parameters of its loss."""
