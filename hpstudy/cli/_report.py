"""`report`."""

import json
import os

from rich.console import Console
from rich.text import Text

from hpstudy.cli._options import HomeOption, JsonOption, StudyArgument, study_name


def report(study: StudyArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Write the PDF report of a study from what its record holds, with every table and figure beside it.

    Example: `hpstudy report quickstart`
    """
    from hpstudy.workflow import open_results, write_report

    results = open_results(study_name(study), home)
    path = write_report(results)
    Console(stderr=as_json).print(Text(str(path), style="bold"), soft_wrap=True)
    if as_json:
        print(json.dumps({"study": results.study.name, "report": os.fspath(path)}))
