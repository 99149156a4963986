"""What a stranger sees of a study in MLflow: notes, tables, figures and the data behind it, at each level of the tree.

Not imported by `hpstudy.reporting` itself: a report needs no MLflow.
"""

from hpstudy.reporting.window._closing import closing_pages
from hpstudy.reporting.window._opening import opening_pages
from hpstudy.reporting.window._trial import draw_trial

__all__ = ["closing_pages", "draw_trial", "opening_pages"]
