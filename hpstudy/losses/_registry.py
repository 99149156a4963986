"""From names to heads. The tables are literal; a test proves that they match the catalogue."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict, Unpack

import torch
from torch import nn

from hpstudy.catalog import LOSSES, Part, criterion_info, loss_info, margin_info, own_loss, scale_info
from hpstudy.exceptions import InputError
from hpstudy.losses._checks import check_size
from hpstudy.losses._custom import build_custom_head
from hpstudy.losses._head import CosineHead, CriterionHead
from hpstudy.losses._parallel import OneProcess, Parallel
from hpstudy.losses.criteria import (
    AngularTriplet,
    CContrastive,
    Criterion,
    CTriplet,
    Inter,
    Intra,
    P2SGrad,
    SphereFace2,
)
from hpstudy.losses.margins import (
    AdaFaceMargin,
    AdditiveAngleMargin,
    AdditiveCosineMargin,
    AnnealedMultiplicativeAngleMargin,
    CircleMargin,
    CombinedMargin,
    CurricularMargin,
    DividedAngleMargin,
    MagFaceMargin,
    Margin,
    MultiplicativeAngleMargin,
    MVAngleMargin,
    MVCosineMargin,
    NoMargin,
)
from hpstudy.losses.scales import (
    AdaCosCappedScale,
    AdaCosDynamicScale,
    AdaCosFixedScale,
    AdaCosGeometricScale,
    AdaCosSmoothedScale,
    FeatureNormScale,
    FixedScale,
    L2SoftmaxScale,
    LearnedScale,
    LearnedTemperatureScale,
    Scale,
    SoftmaxScale,
)

MARGIN_CLASSES: Final[Mapping[str, type[Margin]]] = {
    "none": NoMargin,
    "additive_cosine": AdditiveCosineMargin,
    "additive_angle": AdditiveAngleMargin,
    "multiplicative_angle": MultiplicativeAngleMargin,
    "annealed_multiplicative_angle": AnnealedMultiplicativeAngleMargin,
    "divided_angle": DividedAngleMargin,
    "combined": CombinedMargin,
    "adaface": AdaFaceMargin,
    "magface": MagFaceMargin,
    "curricular": CurricularMargin,
    "mv_cosine": MVCosineMargin,
    "mv_angle": MVAngleMargin,
    "circle": CircleMargin,
}
SCALE_CLASSES: Final[Mapping[str, type[Scale]]] = {
    "fixed": FixedScale,
    "learned": LearnedScale,
    "learned_temperature": LearnedTemperatureScale,
    "feature_norm": FeatureNormScale,
    "softmax": SoftmaxScale,
    "l2_softmax": L2SoftmaxScale,
    "adacos_fixed": AdaCosFixedScale,
    "adacos_dynamic": AdaCosDynamicScale,
    "adacos_capped": AdaCosCappedScale,
    "adacos_geometric": AdaCosGeometricScale,
    "adacos_ema": AdaCosSmoothedScale,
}
CRITERION_CLASSES: Final[Mapping[str, type[Criterion]]] = {
    "c_contrastive": CContrastive,
    "c_triplet": CTriplet,
    "p2sgrad": P2SGrad,
    "sphereface2": SphereFace2,
    "intra": Intra,
    "inter": Inter,
    "angular_triplet": AngularTriplet,
}

Value = float | str
PartSettings = Mapping[str, Value]
"""`name` of a part with its parameters and options; those left out take the catalogue's defaults."""


class HeadOptions(TypedDict, total=False):
    """What every head of the catalogue takes beside its loss; see `CosineHead`."""

    regularisers: Mapping[str, Mapping[str, Value]]
    """By name of a criterion: its `weight`, parameters and options."""
    generator: torch.Generator | None
    """Source of the initial prototypes; None draws from torch's global one."""
    classes_at_once: int | None
    """None keeps the N×C cosines; a number computes so many at a time."""
    parallel: Parallel | None
    """Where the rest of the batch and the classes are; None is one process."""


_OPTIONS = frozenset(HeadOptions.__annotations__)


def build_head(name: str, *, num_classes: int, embedding_dim: int, **params: Any) -> nn.Module:
    """A head by the name of its loss.

    Args:
        name: A loss of the catalogue, or a user's own: `module:attribute` of a callable
            `(num_classes, embedding_dim, **params)` that returns an `nn.Module` with the forward of `Head`, or the name
            of an entry point to one in the group `hpstudy.losses`.
        num_classes: C ≥ 2.
        embedding_dim: K ≥ 1.
        params: Parameters and options of the loss, in the catalogue's units, those left out take its defaults; and what
            `HeadOptions` names (of which a user's own loss has `generator` only).

    Returns:
        A `CosineHead` for a loss of the catalogue.

    Raises:
        InputError: If the name, a parameter or a size is not allowed, or the user's own loss cannot be built.
    """
    options: HeadOptions = {key: params.pop(key) for key in _OPTIONS & params.keys()}  # type: ignore[assignment]
    check_size(num_classes, embedding_dim)
    if name not in LOSSES and (own := own_loss(name)) is not None:
        if options.keys() - {"generator"}:
            raise InputError(f"loss {name!r} is your own: it takes no {', '.join(sorted(options))}")
        generator = options.get("generator")
        return build_custom_head(
            own, num_classes=num_classes, embedding_dim=embedding_dim, generator=generator, params=params
        )
    info = loss_info(name)
    _refuse_unknown(f"loss {name!r}", params, allowed=(*info.parameters, *info.options))
    given: dict[str, Any] = info.defaults | params
    for parameter in info.parameters.values():
        parameter.check(given[parameter.name])
    size = {"num_classes": num_classes, "embedding_dim": embedding_dim}
    if info.criterion:
        return build_head_from_criterion(_settings(criterion_info(info.criterion), given), **size, **options)
    margin, scale = margin_info(info.margin), scale_info(info.scale)
    return build_head_from_parts(_settings(margin, given), _settings(scale, given), **size, **options)


def build_head_from_parts(
    margin: PartSettings,
    scale: PartSettings,
    *,
    num_classes: int,
    embedding_dim: int,
    **options: Unpack[HeadOptions],
) -> CosineHead:
    """A head of any margin and any scale.

    Args:
        margin: `name` of a margin in the catalogue and its parameters, e.g. `{"name": "additive_angle", "m": 0.3}`.
        scale: `name` of a scale in the catalogue and its parameters.
        num_classes: C ≥ 2.
        embedding_dim: K ≥ 1.
        options: As of `HeadOptions`.

    Raises:
        InputError: If a name, a parameter or a size is not allowed.
    """
    check_size(num_classes, embedding_dim)
    margin_row, scale_row = margin_info(_name_of("margin", margin)), scale_info(_name_of("scale", scale))
    parallel = options.get("parallel") or OneProcess()
    return CosineHead(
        MARGIN_CLASSES[margin_row.name].for_classes(num_classes, **_complete("margin", margin_row, margin)),
        SCALE_CLASSES[scale_row.name].for_classes(
            num_classes, len(parallel.classes(num_classes)), **_complete("scale", scale_row, scale)
        ),
        num_classes=num_classes,
        embedding_dim=embedding_dim,
        regularisers=_regularisers(num_classes, options.get("regularisers") or {}),
        generator=options.get("generator"),
        classes_at_once=options.get("classes_at_once"),
        parallel=parallel,
    )


def build_head_from_criterion(
    criterion: PartSettings, *, num_classes: int, embedding_dim: int, **options: Unpack[HeadOptions]
) -> CriterionHead:
    """A head whose loss is a criterion alone.

    Args:
        criterion: `name` of a criterion in the catalogue and its parameters, e.g. `{"name": "c_triplet", "m": 0.8}`.
        num_classes: C ≥ 2.
        embedding_dim: K ≥ 1.
        options: As of `HeadOptions`.

    Raises:
        InputError: If a name, a parameter or a size is not allowed, or the criterion trains nothing by itself.
    """
    check_size(num_classes, embedding_dim)
    row = criterion_info(_name_of("criterion", criterion))
    if not row.alone:
        raise InputError(f"criterion {row.name!r} trains nothing by itself; give it as a regulariser of another loss")
    return CriterionHead(
        CRITERION_CLASSES[row.name].for_classes(num_classes, **_complete("criterion", row, criterion)),
        num_classes=num_classes,
        embedding_dim=embedding_dim,
        regularisers=_regularisers(num_classes, options.get("regularisers") or {}),
        generator=options.get("generator"),
        classes_at_once=options.get("classes_at_once"),
        parallel=options.get("parallel"),
    )


def _regularisers(num_classes: int, given: Mapping[str, Mapping[str, Value]]) -> dict[str, tuple[float, Criterion]]:
    built = {}
    for name, settings in given.items():
        row = criterion_info(name)
        weight = row.weight.check(settings.get("weight", row.weight.default))  # type: ignore[arg-type]
        params = {key: value for key, value in settings.items() if key != "weight"}
        criterion = CRITERION_CLASSES[name].for_classes(num_classes, **_complete("regulariser", row, params))
        built[name] = (weight, criterion)
    return built


def _settings(part: Part, given: Mapping[str, Value]) -> dict[str, Value]:
    """The part with the values that are its own."""
    own = {key: value for key, value in given.items() if key in part.parameters or key in part.options}
    return {"name": part.name, **own}


def _complete(kind: str, part: Part, given: PartSettings) -> dict[str, Any]:
    """The part's parameters and options, given or by default."""
    params = {key: value for key, value in given.items() if key != "name"}
    _refuse_unknown(f"{kind} {part.name!r}", params, allowed=(*part.parameters, *part.options))
    return part.defaults | params


def _name_of(kind: str, part: PartSettings) -> str:
    if "name" not in part:
        raise InputError(f"a {kind} given as parts needs a 'name', but got only {sorted(part)}")
    return str(part["name"])


def _refuse_unknown(what: str, given: Iterable[str], *, allowed: tuple[str, ...]) -> None:
    unknown = [key for key in given if key not in allowed]
    if unknown:
        nearest = difflib.get_close_matches(unknown[0], allowed, n=1)
        suggestion = f", did you mean {nearest[0]!r}?" if nearest else ""
        takes = ", ".join(allowed) or "no parameter"
        raise InputError(f"{what} does not take {', '.join(unknown)}{suggestion} (it takes {takes})")
