"""Where comparing several studies would be unfair, or says less than it seems to."""

from collections.abc import Callable, Sequence

from hpstudy.analysis._comparability import device_of, metric_of
from hpstudy.analysis._compared import ComparedStudy, names_of

_METRIC = (
    "The metric is not the same ({values}): differences are not on one scale, and are neither drawn on one axis nor "
    "pooled."
)
_MARGIN = (
    "The equivalence margin is not the same ({values}): “equivalent” means something else in each, and studies are "
    "pooled only with those that share theirs."
)
_SEEDS = (
    "The numbers of confirm seeds differ ({values}): more seeds show smaller differences, so that “better” in one "
    "study and “not shown” in another are no contradiction."
)
_CODE = "The code is not the same ({values}): what differs between the studies may come from that."
_DEVICE = (
    "The trials did not run on the same kind of device ({values}): equal seeds then don’t give equal numbers, and "
    "times can’t be compared."
)


def cautions(studies: Sequence[ComparedStudy]) -> list[str]:
    """Where a comparison of these studies would be unfair, or says less than it seems to; a sentence each."""
    begun = [study for study in studies if not study.trials.empty]

    def margin(study: ComparedStudy) -> str:
        return f"±{study.margin_text}"

    found = [
        _if_differing(begun, metric_of, _METRIC),
        _if_differing(begun, margin, _MARGIN),
        *_unfinished(studies),
        *_broken(studies),
        *_repeated(studies),
        _if_differing(begun, lambda study: str(len(study.seeds())), _SEEDS),
        *_data_cautions(begun),
        _if_differing(begun, lambda study: study.session_values("source"), _CODE),
        _if_differing(begun, device_of, _DEVICE),
        *_arm_cautions(begun),
    ]
    return [caution for caution in found if caution]


def _if_differing(studies: Sequence[ComparedStudy], tell: Callable[[ComparedStudy], str], text: str) -> str:
    values: dict[str, list[ComparedStudy]] = {}
    for study in studies:
        values.setdefault(tell(study), []).append(study)
    told = "; ".join(f"{value} in {names_of(having)}" for value, having in values.items())
    return text.format(values=told) if len(values) > 1 else ""


def _unfinished(studies: Sequence[ComparedStudy]) -> list[str]:
    waiting = [study for study in studies if study.trials.empty]
    partial = [study for study in studies if not study.trials.empty and study.facts.unfinished(study.trials)]
    sentences = [f"{names_of(waiting)} {'has' if len(waiting) == 1 else 'have'} no trial yet."] if waiting else []
    if partial:
        are = "is" if len(partial) == 1 else "are"
        sentences.append(f"{names_of(partial)} {are} unfinished: what is said of {_it(partial)} may change.")
    return sentences


def _it(studies: Sequence[ComparedStudy]) -> str:
    return "it" if len(studies) == 1 else "them"


def _broken(studies: Sequence[ComparedStudy]) -> list[str]:
    """Rules of the protocol that a record does not keep: its numbers may not be what they are taken for."""
    rules: dict[str, list[ComparedStudy]] = {}
    for study in studies:
        for rule in study.broken:
            rules.setdefault(rule, []).append(study)
    return [
        f"A rule of the protocol is not kept in {names_of(having)}: {rule[0].lower()}{rule[1:].rstrip('.')}. "
        f"{'Its report has' if len(having) == 1 else 'Their reports have'} the evidence."
        for rule, having in rules.items()
    ]


def _repeated(studies: Sequence[ComparedStudy]) -> list[str]:
    files: dict[str, list[ComparedStudy]] = {}
    for study in studies:
        files.setdefault(study.sha256, []).append(study)
    return [
        f"{names_of(same)} have the same study file: one study run {len(same)} times with the same seeds, which is no "
        "further evidence. They count as one where studies are pooled."
        for same in files.values()
        if len(same) > 1
    ]


def _data_cautions(studies: Sequence[ComparedStudy]) -> list[str]:
    unknown = [study for study in studies if not all(place.data_hash for place in study.places.values())]
    sentences = []
    if unknown:
        sentences.append(
            f"The record of {names_of(unknown)} holds no hash of the data: {_it(unknown)} can’t be paired with another "
            "study."
        )
    known = [study for study in studies if study not in unknown]
    identities = [{(place.data_hash, place.judged) for place in study.places.values()} for study in known]
    if len(known) > 1 and any(one != identities[0] for one in identities):
        sentences.append(
            "The test identities are not the same in all studies: a mean of an arm says as much of them as of the arm, "
            "and only differences within a study are compared."
        )
    return sentences


def _arm_cautions(studies: Sequence[ComparedStudy]) -> list[str]:
    """Arms whose name does not mean the same everywhere."""
    sentences = []
    losses: dict[str, dict[str, list[ComparedStudy]]] = {}
    for study in studies:
        for arm, loss in study.losses().items():
            losses.setdefault(arm, {}).setdefault(loss, []).append(study)
    for arm, having in losses.items():
        if len(having) > 1:
            told = "; ".join(f"{loss} in {names_of(those)}" for loss, those in having.items())
            sentences.append(f"Arm {arm} is not the same loss everywhere ({told}), and is not compared with itself.")
    return sentences
