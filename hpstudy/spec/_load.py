"""From a study file to a study, or to all of its mistakes."""

import os
from pathlib import Path

from hpstudy.exceptions import Mistake, StudyFileError
from hpstudy.spec._check_study import check_study
from hpstudy.spec._draft import Draft
from hpstudy.spec._resolve import canonical_yaml, resolved, sha256_of
from hpstudy.spec._study import Study
from hpstudy.spec._yaml import WHOLE_FILE, read_yaml

TEXT = "<text>"


def load_study(path: str | os.PathLike[str]) -> Study:
    """Read and check a study file.

    Raises:
        StudyFileError: If the file can't be read or has mistakes; carries every one of them.
    """
    file = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        what = "it is a folder; name a study file in it" if Path(path).is_dir() else (error.strerror or str(error))
        raise _unreadable(file, 1, f"can't be read: {what}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(file, line, "not UTF-8; save the file in that encoding") from error
    return parse_study(text, source=file)


def parse_study(text: str, source: str = TEXT) -> Study:
    """Check the text of a study file.

    Args:
        text: YAML.
        source: The file that the text is from: mistakes name it, and relative paths in the text start from its folder.
            Without a file they start from the working directory.

    Raises:
        StudyFileError: If the text has mistakes; carries every one of them, in the order of the file.
    """
    document = read_yaml(text, source)
    if document.root is None:
        raise StudyFileError([mistake for _, mistake in document.mistakes])
    draft = Draft(document, document.root)
    check_study(draft)
    if mistakes := draft.mistakes():
        raise StudyFileError(mistakes)
    root = os.path.abspath("." if source == TEXT else os.path.dirname(source))
    spec = resolved(draft.spec, root)
    resolved_yaml = canonical_yaml(spec)
    return Study(spec=spec, source=source, resolved_yaml=resolved_yaml, sha256=sha256_of(resolved_yaml))


def _unreadable(file: str, line: int, message: str) -> StudyFileError:
    return StudyFileError([Mistake(file=file, line=line, path=WHOLE_FILE, message=message)])
