"""PDFs: the report of a study, its verdict first and the evidence beside it, and the comparison of several studies.

Beside them the figure of the bounds on s and m.
"""

from typing import TYPE_CHECKING

from hpstudy.facades import on_demand

if TYPE_CHECKING:
    from hpstudy.reporting._across_build import build_comparison
    from hpstudy.reporting._bounds_sheet import plot_bounds
    from hpstudy.reporting._build import build_report
    from hpstudy.reporting._facts import ReportFacts
    from hpstudy.reporting._plot_file import check_plot_path

__all__ = ["ReportFacts", "build_comparison", "build_report", "check_plot_path", "plot_bounds"]

_MODULES = {
    "ReportFacts": "_facts",
    "build_comparison": "_across_build",
    "build_report": "_build",
    "check_plot_path": "_plot_file",
    "plot_bounds": "_bounds_sheet",
}

# What draws takes a second to import; MLflow's pages, a package below this one, need it only at the end.
__getattr__ = on_demand(__name__, _MODULES)
