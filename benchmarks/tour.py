"""Takes the pictures of the README's tour: a study in the MLflow UI, as a browser shows it.

    hpstudy run studies/quickstart.yaml --home HOME
    python benchmarks/tour.py HOME quickstart reports/tour

It needs Chromium (`chromium` on the path) and Playwright (`pip install 'hpstudy[test]'`).
"""

import argparse
import shutil
from pathlib import Path

from mlflow import MlflowClient
from playwright.sync_api import Page, expect, sync_playwright

from hpstudy.tracking import prepare_study_page, serve
from hpstudy.tracking._views import CURVES, CURVES_SHOWN

SIZE = {"width": 1400, "height": 900}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PATIENCE_MS = 120_000
DRAWN = """() => {
    const canvas = document.querySelector(".react-pdf__Page canvas");
    const values = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return values.some((value, place) => place % 4 == 0 && value < 100 && values[place + 3] > 200);
}"""
"""Whether the PDF's page is on its canvas, which is blank before."""
ASSISTANT_SEEN = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"


class Tour:
    """A browser on a served study, which takes one picture after the other.

    Args:
        page: The browser's page.
        address: That `prepare_study_page` gave.
        folder: Where the pictures go.
    """

    def __init__(self, page: Page, address: str, folder: Path) -> None:
        self.page = page
        self.address = address
        self.runs, _, query = address.partition("?")
        self.layout = query.partition("&")[2]
        self.folder = folder

    def open(self, address: str) -> None:
        """Loads a page anew, as from a bookmark: a change of the fragment alone would keep the old one's state."""
        self.page.goto("about:blank")
        self.page.goto(address)

    def picture(self, name: str) -> None:
        """Keeps what is shown, once its fonts are there and its spinners are gone."""
        expect(self.page.locator("[data-testid=skeleton], .ant-spin")).to_have_count(0)
        self.page.mouse.move(0, 0)
        self.page.screenshot(path=self.folder / f"{name}.png", animations="disabled")

    def experiments(self, study: str) -> None:
        self.open(f"{self.runs.partition('#')[0]}#/experiments?{self.layout}")
        expect(self.page.get_by_role("link", name=study, exact=True).first).to_be_visible()
        self.picture("experiments")

    def tree(self, trial: str) -> None:
        self.open(self.address)
        expect(self.page.get_by_role("link", name=trial).first).to_be_visible()
        self.picture("tree")

    def charts(self, run_id: str, name: str) -> None:
        self.open(f"{self.runs}/{run_id}/model-metrics?{self.layout}")
        self.page.get_by_placeholder("Search metric charts").fill(CURVES_SHOWN)
        self._expect_three_charts()
        expect(self.page.get_by_text(f"{name} (train/s)").first).to_be_visible()
        self.picture("charts")

    def arms(self) -> None:
        self.open(f"{self.runs}?viewStateShareKey={CURVES}&compareRunsMode=CHART&{self.layout}")
        self._expect_three_charts()
        self.picture("arms")

    def report(self, run_id: str, path: str) -> None:
        self.open(f"{self.runs}/{run_id}/artifacts/{path}?{self.layout}")
        expect(self.page.locator(".react-pdf__Page canvas").first).to_be_visible()
        self.page.wait_for_function(DRAWN)
        # It names a folder of whoever takes the pictures.
        self.page.get_by_text("Path: file:").evaluate("element => element.style.visibility = 'hidden'")
        self.picture("report")

    def _expect_three_charts(self) -> None:
        drawn = self.page.locator(".js-plotly-plot", has=self.page.locator(".scatterlayer .js-line"))
        expect(drawn).to_have_count(3)


def main() -> None:
    """Serves the home, visits the pages and writes a PNG of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path, help="where the study was run")
    parser.add_argument("study", help="its name")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or parser.error("there is no chromium on the path")
    with serve(given.home, port=0, timeout=PATIENCE_MS / 1000) as server, sync_playwright() as playwright:
        address = prepare_study_page(server.url, given.study)
        client = MlflowClient(tracking_uri=server.url)
        experiment = client.get_experiment_by_name(given.study)
        study, *_ = client.search_runs([experiment.experiment_id], "tags.level = 'study'")
        adaptive, *_ = client.search_runs(
            [experiment.experiment_id],
            "tags.phase = 'confirm' and tags.loss = 'adacos'",
            order_by=["attributes.start_time ASC"],
        ) or client.search_runs([experiment.experiment_id], "tags.level = 'trial'")
        first, *_ = client.search_runs(
            [experiment.experiment_id], "tags.level = 'trial'", order_by=["attributes.start_time ASC"]
        )
        report = next(file for file in paths(client, study.info.run_id) if file.endswith("report.pdf"))
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.add_init_script(ASSISTANT_SEEN)
        tour = Tour(page, address, given.folder)
        tour.experiments(given.study)
        tour.tree(first.info.run_name)
        tour.charts(adaptive.info.run_id, adaptive.info.run_name)
        tour.arms()
        tour.report(study.info.run_id, report)
        browser.close()


def paths(client: MlflowClient, run_id: str, below: str | None = None) -> list[str]:
    """The files of a run, folders opened."""
    found = []
    for entry in client.list_artifacts(run_id, below):
        found += paths(client, run_id, entry.path) if entry.is_dir else [entry.path]
    return found


if __name__ == "__main__":
    main()
