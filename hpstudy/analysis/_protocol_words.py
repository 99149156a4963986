"""How the finding of a rule is put."""

from collections.abc import Sequence

from hpstudy.analysis._account import some

YES, NO, NOT_APPLICABLE = "yes", "no", "not applicable"

Finding = tuple[str, str]
"""Whether a rule held, and the evidence in words."""


def finding(violations: Sequence[str], evidence: str) -> Finding:
    """`no` with the violations, or `yes` with the evidence."""
    return (NO, sentence("; ".join(violations))) if violations else (YES, sentence(evidence))


def not_applicable(why: str) -> Finding:
    """Nothing that the rule could be seen in."""
    return NOT_APPLICABLE, sentence(why)


def sentence(text: str) -> str:
    """Begun with a capital and ended with a stop."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def of_them(names: Sequence[str], what: str) -> list[str]:
    """One violation with the names that it is about, none if there are none."""
    return [f"{what}: {some(names)}"] if names else []
