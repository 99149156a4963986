"""The answer of a survey: what its findings say, since it compares no arms."""

import pandas as pd

from hpstudy.analysis._comparisons import paired_comparisons
from hpstudy.analysis._facts import StudyFacts
from hpstudy.analysis._verdict import Verdict
from hpstudy.analysis._words import counted, listed
from hpstudy.analysis.audit._audit import Audit


def survey_verdict(facts: StudyFacts, audit: Audit) -> Verdict:
    """What a survey found, topic by topic.

    Args:
        facts: What the study asked, and how many trials it is to have.
        audit: The audit of its trials.
    """
    trials = audit.trials
    headline = _headline(audit)
    if progress := facts.unfinished(trials):
        headline = f"Unfinished ({progress}): {headline[0].lower()}{headline[1:]}"
    told = [f"{finding.title}: {' '.join(finding.sentences)}" for finding in audit.findings]
    failed = int((trials["status"] == "failed").sum())
    if failed:
        told.append(f"{counted(failed, 'trial')} failed and {'is' if failed == 1 else 'are'} left out.")
    table = paired_comparisons(trials.head(0), audit.metric, facts.equivalence_margin)
    return Verdict(
        question=facts.question,
        headline=headline,
        paragraph=" ".join([headline, *told]),
        lines=(headline, *_lines(audit)),
        table=table,
        duels=table,
    )


def _headline(audit: Audit) -> str:
    trials = audit.trials
    if audit.broken:
        rules = listed([f"“{rule}”" for rule in audit.broken])
        return f"The self-check failed, so that something was measured wrongly: {rules}."
    if trials.empty:
        return "No trial has ended yet."
    points = len(trials.drop_duplicates(["condition", "arm", "number"]))
    text = f"{counted(len(trials), 'trial')} at {counted(points, 'listed point')}, none of them chosen"
    held = int((audit.checks["held"] == "yes").sum())
    if held:
        laws = f"any of the {held} laws" if held > 1 else "the one law"
        return f"{text}; no trial breaks {laws} that {'bound' if held > 1 else 'bounds'} s, m and the loss."
    return f"{text}."


def _lines(audit: Audit) -> list[str]:
    lines = []
    for finding in audit.findings:
        lines += [finding.title, *(f"  {sentence}" for sentence in finding.sentences)]
    return lines


def self_check_line(checks: pd.DataFrame) -> str:
    """The self-check of a study in one line."""
    judged = checks[checks["held"] != "not applicable"]
    broken = checks[checks["held"] == "no"]
    if len(broken):
        return f"Self-check FAILED: {len(broken)} of {len(judged)} laws broken ({listed(broken['rule'].to_list())})"
    return (
        f"Self-check passed: {counted(len(judged), 'law')} held" if len(judged) else "Self-check: nothing was measured"
    )
