"""The PDF report of a study: its verdict first, then the evidence, figures as vectors and tables as CSV beside it."""

from hpstudy.reporting._build import build_report
from hpstudy.reporting._facts import ReportFacts

__all__ = ["ReportFacts", "build_report"]
