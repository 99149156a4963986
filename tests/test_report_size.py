"""The benchmark of a large report still runs, on a small one."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_report_size_script_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", BENCHMARKS / "report_size.py", "--trials", "30"]
    subprocess.run([*command, "--home", tmp_path, "--output", tmp_path], check=True, capture_output=True)
    page = (tmp_path / "report_size.md").read_text(encoding="utf-8")
    cells = page.splitlines()[-3].strip("| ").split(" | ")
    assert "python benchmarks/report_size.py --trials 30 --home FOLDER --output benchmarks" in page
    assert int(cells[0]) == 36
    assert all(float(cell.replace(",", "")) > 0 for cell in cells)
    assert (tmp_path / "report-size-30" / "report" / "report.pdf").is_file()
