"""What a study says of itself before it has an answer."""

from collections.abc import Sequence

from hpstudy.reporting.window._lineage import Session, data_inputs, environment, once_each, origin_tags
from hpstudy.reporting.window._words import HOW_TO_READ, loss_words, plan_words, searched_words
from hpstudy.spec import Study
from hpstudy.tracking import OpeningPages, Page, escaped, fitted, table


def opening_pages(study: Study, sessions: Sequence[Session]) -> OpeningPages:
    """Question, arms and what they search, and where the data and the code are from.

    Args:
        study: The study.
        sessions: What each session of it noted; a study that has not begun has none.
    """
    data = data_inputs(study, sessions)
    rows = [[f"**{escaped(arm.name)}**", escaped(arm.loss), searched_words(study, arm)] for arm in study.arms]
    note = fitted(
        [
            f"**{escaped(study.spec.question)}**",
            "*Not answered yet: the study is not finished. The verdict will stand here.*",
            table(["arm", "loss", "what it does"], rows),
            plan_words(study),
            HOW_TO_READ,
        ]
    )
    page = Page(
        note=note,
        tags=origin_tags(sessions),
        content={"environment.txt": environment(sessions).encode()} if sessions else {},
        inputs=once_each(data),
    )
    return OpeningPages(study=page, arms={arm.name: _arm_page(study, arm.name) for arm in study.arms}, data=data)


def _arm_page(study: Study, name: str) -> Page:
    arm = study.arm(name)
    note = fitted(
        [
            f"Arm **{escaped(name)}** of: *{escaped(study.spec.question)}*",
            "*No result yet: its trials are not finished.*",
            f"It {searched_words(study, arm)}.",
            *loss_words(arm),
        ]
    )
    return Page(note=note, tags={"loss": arm.loss, "kind": arm.kind})
