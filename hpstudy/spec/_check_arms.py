"""Every arm against the catalogue: names, parameters, options, units and ranges."""

from collections.abc import Iterable, Mapping

from hpstudy.catalog import CRITERIA, LOSSES, MARGINS, SCALES, OptionInfo, ParameterInfo, installed_losses
from hpstudy.spec._arms import ArmSpec, PartSpec
from hpstudy.spec._draft import Draft, Path
from hpstudy.spec._fields import ARM_NAME, is_attribute
from hpstudy.spec._heads import HeadTable, head_table, regulariser_table
from hpstudy.spec._names import given, listed, nearest
from hpstudy.spec._units import out_of_range

_ARM_KEYS = tuple(ArmSpec.model_fields)
_EXAMPLE = {"margin": "margin: {name: none}", "scale": "scale: {name: fixed, s: 30}"}


def check_arm(draft: Draft, name: str, arm: ArmSpec) -> None:
    """Report what is wrong with one arm, apart from the training fields that it searches."""
    path = ("arms", name)
    if not ARM_NAME.fullmatch(name):
        allowed = "letters, digits, - and _, at most 64, and begins with a letter or digit"
        draft.report(path, f"an arm's name holds {allowed}, but got {given(name)}")
    if draft.has(*path, "search") and draft.has(*path, "grid"):
        draft.report((*path, "grid"), "an arm has search or grid, not both; make two arms of it")
    _check_regularisers(draft, path, arm)
    named = draft.has(*path, "loss")
    parts = [part for part in ("margin", "scale") if draft.has(*path, part)]
    if named and parts:
        draft.report((*path, parts[0]), "an arm has a named loss or a margin and a scale, not both; remove one of them")
    if named:
        _check_named(draft, path, arm)
    elif parts:
        _check_parts(draft, path, arm)
    else:
        missing = f"an arm needs a loss ({listed(LOSSES)}), or a margin and a scale"
        close = {key: nearest(key, ("loss", "margin", "scale")) for key in arm.settings}
        hint = next((f"{text} (here: {key!r})" for key, text in close.items() if text), "")
        draft.report(path, missing + hint)


def _check_named(draft: Draft, path: Path, arm: ArmSpec) -> None:
    if arm.loss is None or not draft.trusted(*path, "loss"):
        return
    if arm.loss not in LOSSES and (is_attribute(arm.loss) or arm.loss in installed_losses()):
        _check_own(draft, path, arm)
        return
    table = head_table(arm)
    if table is None:
        known = f"{listed((*LOSSES, *installed_losses()))}, or package.module:attribute"
        message = f"unknown loss {given(arm.loss)}{nearest(arm.loss, LOSSES)} (known: {known})"
        draft.report((*path, "loss"), message)
        return
    info = LOSSES[arm.loss]
    _check_settings(draft, path, arm.settings, table.label, info.parameters, info.options, other=_ARM_KEYS)
    _check_points(draft, path, arm, table)


def _check_own(draft: Draft, path: Path, arm: ArmSpec) -> None:
    """The parameters of a user's own loss are its own affair; only doubles can be seen here."""
    if draft.has(*path, "regularisers"):
        draft.report((*path, "regularisers"), "a loss of your own takes no regularisers; add the term in its code")
    for section, names in _searched(arm):
        for name in names:
            if name in arm.settings:
                draft.report((*path, section, name), _both(name, arm.settings[name]))


def _check_regularisers(draft: Draft, path: Path, arm: ArmSpec) -> None:
    for name, term in (arm.regularisers or {}).items():
        where = (*path, "regularisers", name)
        table = regulariser_table(name)
        if table is None:
            draft.report(where, f"unknown criterion {given(name)}{nearest(name, CRITERIA)} (known: {listed(CRITERIA)})")
        elif name == arm.loss:
            draft.report(where, f"{name} is the loss of this arm already")
        else:
            _check_settings(
                draft, where, term.settings, f"regulariser {name}", table.parameters, table.options, other=()
            )


def _check_parts(draft: Draft, path: Path, arm: ArmSpec) -> None:
    for kind, catalogue in (("margin", MARGINS), ("scale", SCALES)):
        part: PartSpec | None = getattr(arm, kind)
        if not draft.has(*path, kind):
            draft.report(path, f"an arm of parts needs a margin and a scale; add e.g. {_EXAMPLE[kind]}")
        elif part is not None and part.name not in catalogue:
            known = listed(catalogue)
            message = f"unknown {kind} {given(part.name)}{nearest(part.name, catalogue)} (known: {known})"
            draft.report((*path, kind, "name"), message)
        elif part is not None:
            info = catalogue[part.name]
            where = (*path, kind)
            _check_settings(
                draft, where, part.settings, f"{kind} {part.name}", info.parameters, info.options, other=("name",)
            )
    for key in arm.settings:
        draft.report(
            (*path, key),
            f"an arm of parts has no {key!r} of its own{nearest(key, _ARM_KEYS)}; parameters stand in their part",
        )
    table = head_table(arm)
    if table is not None:
        _check_points(draft, path, arm, table)


def _check_settings(
    draft: Draft,
    path: Path,
    settings: Mapping[str, float | str],
    owner: str,
    parameters: Mapping[str, ParameterInfo],
    options: Mapping[str, OptionInfo],
    *,
    other: tuple[str, ...],
) -> None:
    for name, value in settings.items():
        if name in parameters:
            wrong = "must be a number" if isinstance(value, str) else out_of_range(parameters[name], value)
            if wrong:
                draft.report((*path, name), f"{wrong}, but got {given(value)}" if isinstance(value, str) else wrong)
        elif name in options:
            if value not in options[name].allowed:
                allowed = options[name].allowed
                hint = nearest(str(value), allowed)
                draft.report((*path, name), f"must be one of {listed(allowed)}, but got {given(value)}{hint}")
        else:
            draft.report((*path, name), _unknown(name, owner, (*parameters, *options), (*parameters, *options, *other)))


def _check_points(draft: Draft, path: Path, arm: ArmSpec, table: HeadTable) -> None:
    """The searched and listed parameters of the loss; dotted paths into training and model are checked elsewhere."""
    for section, names in _searched(arm):
        meant: dict[tuple[str, str], str] = {}
        for name in names:
            if name.partition(".")[0] in ("training", "model", "data"):
                continue
            where = (*path, section, name)
            if name not in table.parameters:
                draft.report(where, _unsearchable(name, table))
                continue
            place = table.place(name)
            if place in meant:
                draft.report(where, f"{name} and {meant[place]} are the same parameter; give it once")
            meant[place] = name
            fixed = _fixed(arm, place)
            if fixed is not None:
                draft.report(where, _both(name, fixed))
            wrong = [out_of_range(table.parameters[name], value) for value in names[name]]
            if any(wrong):
                draft.report(where, "; ".join(dict.fromkeys(text for text in wrong if text)))


def _searched(arm: ArmSpec) -> Iterable[tuple[str, Mapping[str, tuple[float, ...]]]]:
    if arm.search is not None:
        yield "search", {name: entry.values for name, entry in arm.search.items()}
    if arm.grid is not None:
        yield "grid", arm.grid


def _fixed(arm: ArmSpec, place: tuple[str, str]) -> float | str | None:
    part, name = place
    if part in (arm.regularisers or {}):
        return (arm.regularisers or {})[part].settings.get(name)
    if arm.loss is not None:
        return arm.settings.get(name)
    spec: PartSpec | None = getattr(arm, part)
    return spec.settings.get(name) if spec else None


def _both(name: str, value: float | str) -> str:
    return f"{name} is fixed at {given(value)} and searched as well; remove one of the two"


def _unknown(name: str, owner: str, takes: tuple[str, ...], known: tuple[str, ...]) -> str:
    return f"{owner} has no {name!r}{nearest(name, known)} (it takes: {listed(takes)})"


def _unsearchable(name: str, table: HeadTable) -> str:
    ambiguous = [dotted for dotted in table.parameters if dotted.endswith(f".{name}")]
    if ambiguous:
        return f"both parts have {name!r}; write {' or '.join(ambiguous)}"
    plain = [known for known in table.parameters if "." not in known]
    if table.options(name):
        return f"{name!r} is an option, not a number; fix it, one arm for each value"
    scale = table.parts.get("scale")
    adaptive = scale is not None and SCALES[scale.name].sets_itself and name in ("s", "scale.s")
    why = ": its scale adapts itself" if adaptive else ""
    training = "; or a dotted path such as training.optimizer.lr"
    return f"{table.label} has no {name!r}{why}{nearest(name, plain)} (it has: {listed(plain)}{training})"
