"""What the fields of a study file are made of: strict numbers, names, and the base of every section."""

import ast
import inspect
import itertools
import math
import re
import textwrap
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, Strict
from pydantic_core import CoreSchema, PydanticCustomError


class Section(BaseModel):
    """A mapping of the study file: frozen, no unknown keys, finite numbers; the text under a field describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema of pydantic with the description of every field."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in descriptions(cls).items():
            properties[name]["description"] = text
        return schema


def descriptions(section: type[Section]) -> dict[str, str]:
    """The text under each field of a section.

    Read from the source when a schema or a message wants it; `use_attribute_docstrings` would do so at import.
    """
    try:
        source = textwrap.dedent(inspect.getsource(section))
    except OSError:
        return {}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    for field, below in itertools.pairwise(definition.body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = inspect.cleandoc(text).replace("\n", " ")
    return {name: texts[name] for name in section.model_fields if name in texts}


Real = Annotated[float, Strict()]
"""A finite number; true and false are not numbers here."""
Whole = Annotated[int, Strict()]
"""A whole number; neither 3.0 nor true is one."""

ATTRIBUTE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""A user's own object, `package.module:attribute`."""
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def is_attribute(name: str) -> bool:
    """Whether `name` is written as `package.module:attribute`."""
    return ATTRIBUTE.fullmatch(name) is not None


def _finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str) or not _finite(value):
        raise PydanticCustomError("scalar", "must be a finite number, a text, true or false")
    return value


def _setting(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not _finite(value):
        raise PydanticCustomError("setting", "must be a finite number, or the name of an option")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise PydanticCustomError("number", "must be a finite number")
    return value


Scalar = Annotated[bool | int | float | str, BeforeValidator(_scalar)]
"""One value of a blocking factor."""
Setting = Annotated[int | float | str, BeforeValidator(_setting)]
"""A fixed parameter (a number) or option (a name) of a loss or of one of its parts."""
Numbers = Annotated[tuple[Annotated[int | float, BeforeValidator(_number)], ...], Field(min_length=1)]
"""One or more numbers, whole ones kept whole."""
