"""PDFs: the report of a study, its verdict first and the evidence beside it, and the comparison of several studies.

Beside them the figure of the bounds on s and m.
"""

from hpstudy.reporting._across_build import build_comparison
from hpstudy.reporting._bounds_sheet import plot_bounds
from hpstudy.reporting._build import build_report
from hpstudy.reporting._facts import ReportFacts
from hpstudy.reporting._plot_file import check_plot_path

__all__ = ["ReportFacts", "build_comparison", "build_report", "check_plot_path", "plot_bounds"]
