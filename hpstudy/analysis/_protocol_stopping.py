"""The rule that early stopping compares trials of one search only."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pandas as pd

from hpstudy.analysis._account import LANE, Account, read
from hpstudy.analysis._protocol_words import Finding, finding, not_applicable, of_them
from hpstudy.analysis._words import counted
from hpstudy.spec import EarlyStoppingSpec


def stopped_within(account: Account) -> Finding:
    """Every trial stopped early was below another of its own search at that epoch, one at which the rule may stop.

    Which values a search had heard of when it decided is not in the record, so that the decision itself can't be
    repeated. That another trial of the same search was better at this epoch, and had begun, is necessary for it under
    every rule; a comparison with trials of other searches breaks that sooner or later.
    """
    rule = account.study.spec.search.early_stopping
    stopped = account.trials[account.trials["status"] == "pruned"]
    if stopped.empty:
        return not_applicable("no trial was stopped early")
    is_confirm = stopped["phase"] == "confirm"
    confirm, search = stopped.loc[is_confirm, "trial_id"].to_list(), stopped[~is_confirm]
    misplaced = [str(row["trial_id"]) for row in search.to_dict("records") if not _may_stop(rule, int(row["epochs"]))]
    alone, unknown = [], []
    for _, lane in account.search.groupby(LANE, sort=True):
        searching = _Search(account, lane)
        for row in lane[lane["status"] == "pruned"].to_dict("records"):
            found = searching.had_better(str(row["trial_id"]))
            alone += [str(row["trial_id"])] if found is False else []
            unknown += [str(row["trial_id"])] if found is None else []
    if unknown and not (confirm or misplaced or alone):
        return not_applicable(f"the epochs of trials beside {counted(len(unknown), 'stopped trial')} are not kept")
    return finding(
        [
            *of_them(confirm, f"{counted(len(confirm), 'confirm trial')} stopped early"),
            *of_them(misplaced, f"{counted(len(misplaced), 'trial')} stopped where {rule.kind} may not"),
            *of_them(alone, f"{counted(len(alone), 'trial')} stopped without a better one in the same search"),
        ],
        f"each of {counted(len(search), 'stopped trial')} was below another of its own search at the same epoch",
    )


def _may_stop(rule: EarlyStoppingSpec, epoch: int) -> bool:
    """Whether the rule of the study file can end a trial after this epoch."""
    if rule.kind == "median":
        return epoch >= rule.grace_epochs
    rung = rule.grace_epochs
    while rule.kind == "asha" and rung < epoch:
        rung *= rule.reduction_factor
    return rule.kind == "asha" and rung == epoch


class _Search:
    """One search: what its trials were worth at an epoch."""

    def __init__(self, account: Account, lane: pd.DataFrame) -> None:
        self._objective = account.objective
        # Good ones first: the better trial that is looked for is most often the best of all.
        self._rows = lane.sort_values("objective", ascending=False).to_dict("records")
        self._epochs = cache(lambda trial_id: read(account.epochs, trial_id))

    def had_better(self, trial_id: str) -> bool | None:
        """Whether another trial was better at the epoch of this one's stop and had begun by then; None if not known."""
        own = next(row for row in self._rows if row["trial_id"] == trial_id)
        unknown = False
        for other, value in self._values(own["trial_id"], int(own["epochs"])):
            if value is None:
                unknown = True
            elif value > own["objective"] and not other["started_at"] > own["ended_at"]:
                return True
        return None if unknown else False

    def _values(self, trial_id: str, epoch: int) -> Iterator[tuple[dict[Any, Any], float | None]]:
        """Every other trial that reached the epoch, with its value there, None if that is not kept."""
        for row in self._rows:
            if row["trial_id"] == trial_id or row["epochs"] < epoch:
                continue
            if row["epochs"] == epoch and row["status"] in ("pruned", "completed"):
                yield row, float(row["objective"])
                continue
            epochs = self._epochs(str(row["trial_id"]))
            if epochs.empty or self._objective not in epochs:
                yield row, None
                continue
            there = epochs.loc[epochs["epoch"] == epoch, self._objective]
            if len(there):
                yield row, float(there.iloc[0])
