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
    values = [float(cell.replace(",", "")) for cell in cells]
    assert all(value > 0 for value in values[:3] + values[4:])
    assert values[3] >= 0, "a small study may open in less than the tenth of a second that is printed"
    assert (tmp_path / "report-size-30" / "report" / "report.pdf").is_file()
