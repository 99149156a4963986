"""From names to heads. The two tables are literal; a test proves that they match the catalogue."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import torch
from torch import nn

from hpstudy.catalog import MarginInfo, ScaleInfo, loss_info, margin_info, scale_info
from hpstudy.exceptions import InputError
from hpstudy.losses._custom import build_custom_head
from hpstudy.losses._head import CosineHead, check_size
from hpstudy.losses.margins import (
    AdditiveAngleMargin,
    AdditiveCosineMargin,
    Margin,
    MultiplicativeAngleMargin,
    NoMargin,
)
from hpstudy.losses.scales import AdaCosDynamicScale, AdaCosFixedScale, FixedScale, Scale

MARGIN_CLASSES: Final[Mapping[str, type[Margin]]] = {
    "none": NoMargin,
    "additive_cosine": AdditiveCosineMargin,
    "additive_angle": AdditiveAngleMargin,
    "multiplicative_angle": MultiplicativeAngleMargin,
}
SCALE_CLASSES: Final[Mapping[str, type[Scale]]] = {
    "fixed": FixedScale,
    "adacos_fixed": AdaCosFixedScale,
    "adacos_dynamic": AdaCosDynamicScale,
}

Value = float | str


def build_head(
    name: str,
    *,
    num_classes: int,
    embedding_dim: int,
    generator: torch.Generator | None = None,
    **params: Value,
) -> nn.Module:
    """A head by the name of its loss.

    Args:
        name: A loss of the catalogue, or `module:attribute` of a callable `(num_classes, embedding_dim, **params)` that
            returns an `nn.Module` with the forward of `Head`.
        num_classes: C ≥ 2.
        embedding_dim: K ≥ 1.
        generator: Source of the initial prototypes; None draws from torch's global one.
        params: Parameters and options of the loss, in the catalogue's units; those left out take its defaults.

    Returns:
        A `CosineHead` for a loss of the catalogue.

    Raises:
        InputError: If the name, a parameter or a size is not allowed, or the user's own loss cannot be built.
    """
    check_size(num_classes, embedding_dim)
    if ":" in name:
        return build_custom_head(
            name, num_classes=num_classes, embedding_dim=embedding_dim, generator=generator, params=params
        )
    info = loss_info(name)
    _refuse_unknown(f"loss {name!r}", params, allowed=(*info.parameters, *info.options))
    margin, scale = margin_info(info.margin), scale_info(info.scale)
    defaults: dict[str, Value] = {parameter.name: parameter.default for parameter in info.parameters.values()}
    given: dict[str, Any] = defaults | params
    for parameter in info.parameters.values():
        parameter.check(given[parameter.name])
    return build_head_from_parts(
        {"name": margin.name, **_of(margin, given)},
        {"name": scale.name, **_of(scale, given)},
        num_classes=num_classes,
        embedding_dim=embedding_dim,
        generator=generator,
    )


def build_head_from_parts(
    margin: Mapping[str, Value],
    scale: Mapping[str, Value],
    *,
    num_classes: int,
    embedding_dim: int,
    generator: torch.Generator | None = None,
) -> CosineHead:
    """A head of any margin and any scale.

    Args:
        margin: `name` of a margin in the catalogue and its parameters, e.g. `{"name": "additive_angle", "m": 0.3}`.
        scale: `name` of a scale in the catalogue and its parameters.
        num_classes: C ≥ 2.
        embedding_dim: K ≥ 1.
        generator: Source of the initial prototypes; None draws from torch's global one.

    Raises:
        InputError: If a name, a parameter or a size is not allowed.
    """
    check_size(num_classes, embedding_dim)
    margin_row, margin_params = margin_info(_name_of("margin", margin)), _without_name(margin)
    scale_row, scale_params = scale_info(_name_of("scale", scale)), _without_name(scale)
    return CosineHead(
        MARGIN_CLASSES[margin_row.name].for_classes(num_classes, **_complete("margin", margin_row, margin_params)),
        SCALE_CLASSES[scale_row.name].for_classes(num_classes, **_complete("scale", scale_row, scale_params)),
        num_classes=num_classes,
        embedding_dim=embedding_dim,
        generator=generator,
    )


def _of(part: MarginInfo | ScaleInfo, given: Mapping[str, Value]) -> dict[str, Value]:
    """The values that are the part's own."""
    return {key: value for key, value in given.items() if key in part.parameters or key in part.options}


def _complete(kind: str, part: MarginInfo | ScaleInfo, params: Mapping[str, Value]) -> dict[str, Value]:
    """The part's parameters, given or by default."""
    _refuse_unknown(f"{kind} {part.name!r}", params, allowed=(*part.parameters, *part.options))
    return {row.name: row.default for row in part.parameters.values()} | dict(params)


def _name_of(kind: str, part: Mapping[str, Value]) -> str:
    if "name" not in part:
        raise InputError(f"a {kind} given as parts needs a 'name', but got only {sorted(part)}")
    return str(part["name"])


def _without_name(part: Mapping[str, Value]) -> dict[str, Value]:
    return {key: value for key, value in part.items() if key != "name"}


def _refuse_unknown(what: str, given: Iterable[str], *, allowed: tuple[str, ...]) -> None:
    unknown = [key for key in given if key not in allowed]
    if unknown:
        nearest = difflib.get_close_matches(unknown[0], allowed, n=1)
        suggestion = f", did you mean {nearest[0]!r}?" if nearest else ""
        takes = ", ".join(allowed) or "no parameter"
        raise InputError(f"{what} does not take {', '.join(unknown)}{suggestion} (it takes {takes})")
