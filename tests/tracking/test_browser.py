"""The pages of MLflow's UI as Chromium shows them, on a study from a record made by hand."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import hpstudy.tracking as tracking
from hpstudy.tracking._views import BEST, CURVES, CURVES_SHOWN

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: there is no `chromium` on the path"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install 'hpstudy[test]'")
expect = sync_api.expect

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
QUESTION = "Does any searched (s, m) beat AdaCos?"
DARK_PIXELS = """() => {
    const canvas = document.querySelector(".react-pdf__Page canvas");
    const values = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return values.some((value, place) => place % 4 == 0 && value < 100 && values[place + 3] > 200);
}"""
"""Whether the PDF's page has been drawn: its canvas is blank before."""
COLUMNS_IN_ORDER = """names => {
    const left = name => [...document.querySelectorAll('.ag-header-cell')]
        .find(cell => cell.innerText.trim() == name)?.getBoundingClientRect().left;
    const places = names.map(left);
    return places.every((place, index) => index == 0 ? place > 0 : place > places[index - 1]);
}"""
STEPS = np.arange(1, 61)
POINTS = {"cosface #00 s=31.2 m=0.28": (31.2, 0.28, 0.7125), "cosface #01 s=12.5 m=0.1": (12.5, 0.1, 0.5546875)}
CONFIRMED = {
    "cosface confirm seed 101 s=31.2 m=0.28": (31.2, 0.28, 0.703),
    "adacos confirm seed 101": (None, None, 0.66),
}
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R"
    b"/Resources<</Font<</F1 5 0 R>>>>>>endobj\n"
    b"4 0 obj<</Length 47>>stream\nBT /F1 18 Tf 30 100 Td (Tuning is a tie.) Tj ET \nendstream endobj\n"
    b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R/Size 6>>\n%%EOF\n"
)


def curves_of(s: float | None) -> pd.DataFrame:
    shown = np.full(len(STEPS), s) if s else 20 + np.sqrt(STEPS)
    return pd.DataFrame(
        {
            "step": STEPS,
            "epoch": (STEPS - 1) // 20,
            "theta_med": 1.5 * np.exp(-STEPS / 80),
            "log_b_avg": 4 + np.log(STEPS),
            "s": shown,
        }
    )


@pytest.fixture(scope="module")
def study_home(tmp_path_factory: pytest.TempPathFactory, furnished: Callable[[Path], Path]) -> Path:
    home = furnished(tmp_path_factory.mktemp("browsed"))
    report = tmp_path_factory.mktemp("made") / "report.pdf"
    report.write_bytes(PDF)
    tracker = tracking.MlflowTracker(home, "browsed", QUESTION, "5ead", "version: 1\n", arms=("cosface", "adacos"))
    tracker.start()
    for number, (name, (s, m, objective)) in enumerate((POINTS | CONFIRMED).items()):
        arm, phase = name.partition(" ")[0], "confirm" if name in CONFIRMED else "search"
        row: dict[str, Any] = {
            "study": "browsed",
            "trial_id": f"{arm}.default.{phase}.s0.{number:03d}",
            "arm": arm,
            "condition": "default",
            "phase": phase,
            "search_seed": 0,
            "number": number,
            "seed": 101 if phase == "confirm" else 1 + number,
            "loss": arm,
            "s": s,
            "m": m,
            "status": "completed",
            "attempt": 0,
            "epochs": 3,
            "steps": len(STEPS),
            "objective": objective,
            "val/tar_at_far_1e-3": objective,
            "started_at": 1_700_000_000.0 + 70 * number,
            "ended_at": 1_700_000_060.0 + 70 * number,
            "num_classes": 300,
            "embedding_dim": 256,
        }
        tracker.trial_finished(row, lambda row: (curves_of(row["s"]), pd.DataFrame(), {}))
    metrics = {"trials/completed": float(len(POINTS | CONFIRMED))}
    tracker.study_finished(tracking.Page(note=f"**{QUESTION}** A tie.", metrics=metrics, files={"": [report]}))
    return home


@pytest.fixture(scope="module")
def server(study_home: Path) -> Iterator[tracking.ServerHandle]:
    with tracking.serve(study_home, port=0, timeout=150) as server:
        yield server


@pytest.fixture(scope="module")
def address(server: tracking.ServerHandle) -> str:
    return tracking.prepare_study_page(server.url, "browsed")


@pytest.fixture(scope="module")
def run_ids(server: tracking.ServerHandle, address: str) -> dict[str, str]:
    client = MlflowClient(tracking_uri=server.url)
    experiment = client.get_experiment_by_name("browsed")
    return {run.info.run_name: run.info.run_id for run in client.search_runs([experiment.experiment_id])}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, server: tracking.ServerHandle) -> Iterator[Any]:
    """A page in a profile of its own; at the end it has asked nothing of another host and raised nothing."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    # Else its panel opens on the first visit, and the charts below it are not drawn.
    context.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    expect.set_options(timeout=PATIENCE_MS)
    requested: list[str] = []
    raised: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: raised.append(str(error)))
    yield page
    context.close()
    elsewhere = [url for url in requested if not url.startswith((server.url + "/", "data:", "blob:"))]
    assert requested
    assert elsewhere == []
    assert raised == []


def cells(page: Any, run_name: str) -> list[str]:
    """What the table shows beside a run's name."""
    place = page.get_by_role("row").filter(has=page.get_by_role("link", name=run_name, exact=True)).first
    expect(place).to_be_visible()
    row = place.get_attribute("row-index")
    return [text.strip() for text in page.locator(f'[row-index="{row}"] [role=gridcell]').all_inner_texts()]


def test_the_list_of_experiments(page: Any, server: tracking.ServerHandle, address: str) -> None:
    page.goto(f"{server.url}/#/experiments?workflowType=machine_learning")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="browsed", exact=True))
    expect(row).to_contain_text(QUESTION)


def test_the_study_opens_on_its_tree(page: Any, address: str) -> None:
    page.goto(address)
    for name, (s, m, objective) in POINTS.items():
        assert {str(s), str(m), str(objective), "search", "completed"} <= {*cells(page, name)}
    for name in ("browsed", "cosface", "adacos"):
        expect(page.get_by_role("link", name=name, exact=True).last).to_be_visible()
    page.wait_for_function(COLUMNS_IN_ORDER, arg=["s", "m", "objective", "phase", "status"])
    expect(page.get_by_role("button", name="Study → arm → trial")).to_be_visible()


def test_the_trials_from_the_best_to_the_worst(page: Any, address: str) -> None:
    page.goto(re.sub("viewStateShareKey=[a-z-]+", f"viewStateShareKey={BEST}", address))
    expect(page.get_by_text("4 matching runs")).to_be_visible()
    expect(page.locator('.ag-row [col-id="metrics.`objective`"]')).to_have_text(
        ["0.7125", "0.703", "0.66", "0.5546875"]
    )


def test_the_charts_of_a_trial(page: Any, address: str, run_ids: dict[str, str]) -> None:
    name = "cosface #00 s=31.2 m=0.28"
    runs = address.partition("?")[0]
    page.goto(f"{runs}/{run_ids[name]}")
    for metric, value in curves_of(31.2).iloc[-1].drop(["step", "epoch"]).items():
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"train/{metric}", exact=True))
        expect(row).to_contain_text(str(value)[:12])
    page.get_by_role("tab", name="Model metrics").click()
    page.get_by_placeholder("Search metric charts").fill(CURVES_SHOWN)
    charts = page.get_by_test_id("experiment-view-compare-runs-card")
    expect(charts).to_have_count(3)
    for metric in ("theta_med", "log_b_avg", "s"):
        chart = charts.filter(has_text=f"{name} (train/{metric})")
        line = chart.locator(".scatterlayer .js-line").first
        expect(line).to_be_attached()
        corners = len(re.findall("[ML]", line.get_attribute("d")))
        assert corners == 2 if metric == "s" else corners > 10


def test_the_arms_at_one_seed(page: Any, address: str) -> None:
    page.goto(re.sub("viewStateShareKey=[a-z-]+", f"viewStateShareKey={CURVES}&compareRunsMode=CHART", address))
    expect(page.get_by_text("2 matching runs")).to_be_visible()
    charts = page.get_by_test_id("experiment-view-compare-runs-card")
    expect(charts).to_have_count(3)
    for metric in ("theta_med", "log_b_avg", "s"):
        chart = charts.filter(has_text=f"(train/{metric})")
        for name in CONFIRMED:
            expect(chart).to_contain_text(f"{name} (train/{metric})")
        expect(chart.locator(".scatterlayer .trace").nth(1)).to_be_attached()


def test_two_arms_compared(page: Any, server: tracking.ServerHandle, address: str, run_ids: dict[str, str]) -> None:
    experiment = address.partition("/experiments/")[2].partition("/")[0]
    compared = json.dumps([run_ids[name] for name in CONFIRMED], separators=(",", ":"))
    page.goto(f'{server.url}/#/compare-runs?runs={compared}&experiments=["{experiment}"]')
    for name in CONFIRMED:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    for param, values in (("s", ("31.2",)), ("m", ("0.28",)), ("loss", ("cosface", "adacos"))):
        row = page.locator("tr").filter(has=page.get_by_text(param, exact=True)).first
        for value in values:
            expect(row).to_contain_text(value)


def test_the_report_among_the_artifacts(page: Any, address: str, run_ids: dict[str, str]) -> None:
    page.goto(f"{address.partition('?')[0]}/{run_ids['browsed']}/artifacts")
    expect(page.get_by_text("study.yaml", exact=True)).to_be_visible()
    page.get_by_text("report.pdf", exact=True).click()
    drawn = page.locator(".react-pdf__Page canvas")
    expect(drawn).to_be_visible()
    page.wait_for_function(DARK_PIXELS)
