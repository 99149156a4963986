"""Whether a study kept the rules that its comparison rests on, found in its record rather than promised."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from hpstudy.analysis._account import Account, ReadTrial, nothing_kept
from hpstudy.analysis._protocol_choice import chosen_by_validation, judged_once
from hpstudy.analysis._protocol_data import fars_resolved, file_came_first, identities_disjoint
from hpstudy.analysis._protocol_fairness import adaptive_charged, equal_budgets, fields_shared, searches_repeated
from hpstudy.analysis._protocol_seeds import same_start, seeds_complete, seeds_fresh
from hpstudy.analysis._protocol_stopping import stopped_within
from hpstudy.spec import Study

_RULES: Mapping[str, Callable[[Account], tuple[str, str]]] = {
    "Test identities are judged once, by confirm trials": judged_once,
    "The confirmed point is the best of its search by the validation objective": chosen_by_validation,
    "Confirm seeds are fresh and the same for all arms": seeds_fresh,
    "A seed gives every arm the same initial weights and batches": same_start,
    "Searched arms have equal budgets": equal_budgets,
    "Searches are repeated with independent seeds": searches_repeated,
    "Early stopping compares trials of one search only": stopped_within,
    "Adaptive arms are charged for any search they get": adaptive_charged,
    "Training fields are searched by all arms or by none": fields_shared,
    "Train, validation and test identities are disjoint": identities_disjoint,
    "Every FAR is resolved by the impostor pairs": fars_resolved,
    "The study file was fixed before the first trial": file_came_first,
}

_SURVEY_RULES: Mapping[str, Callable[[Account], tuple[str, str]]] = {
    "Test identities are judged once": judged_once,
    "Every point is trained on every seed": seeds_complete,
    **{
        rule: _RULES[rule]
        for rule in (
            "A seed gives every arm the same initial weights and batches",
            "Train, validation and test identities are disjoint",
            "Every FAR is resolved by the impostor pairs",
            "The study file was fixed before the first trial",
        )
    },
}
"""What is left where nothing is chosen and no arm is compared with another."""


def protocol_checks(
    study: Study,
    trials: pd.DataFrame,
    sessions: Sequence[Mapping[str, str]] = (),
    *,
    epochs: ReadTrial = nothing_kept,
    trajectory: ReadTrial = nothing_kept,
) -> pd.DataFrame:
    """Holds the record of a study against the rules of its protocol.

    Args:
        study: The study file.
        trials: One row a trial.
        sessions: What each driver session ran with, oldest first.
        epochs: Reads the epochs of a trial; asked for trials of searches that stopped some trial early.
        trajectory: Reads the steps of a trial; asked for confirm trials.

    Returns:
        One row a rule: `rule`; `held`, which is `yes`, `no` or `not applicable` (there is nothing that it could be
        seen in, and `evidence` says what is missing); `evidence`, in words with counts.
    """
    account = Account(study=study, trials=trials, sessions=sessions, epochs=epochs, trajectory=trajectory)
    rules = _SURVEY_RULES if study.is_survey else _RULES
    rows = [(rule, *check(account)) for rule, check in rules.items()]
    return pd.DataFrame(rows, columns=["rule", "held", "evidence"])
