"""From a study file to a study, or to all of its mistakes."""

import os
from pathlib import Path

from hpstudy.exceptions import Mistake, StudyFileError
from hpstudy.spec._check_study import check_study
from hpstudy.spec._draft import Draft
from hpstudy.spec._quick import has_quick, of_quick, quick_mistakes, small_variant, without_quick
from hpstudy.spec._resolve import canonical_yaml, resolved, sha256_of
from hpstudy.spec._study import Study
from hpstudy.spec._yaml import WHOLE_FILE, Document, read_yaml

TEXT = "<text>"


def load_study(path: str | os.PathLike[str], *, quick: bool = False) -> Study:
    """Read and check a study file.

    Args:
        path: The file.
        quick: Whether to give the small variant that the file describes under `quick`, in place of the study itself.

    Raises:
        StudyFileError: If the file can't be read, has mistakes, or has no small variant that was asked for; carries
            every mistake, those of the variant too.
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
    return parse_study(text, source=file, quick=quick)


def parse_study(text: str, source: str = TEXT, *, quick: bool = False) -> Study:
    """Check the text of a study file.

    Args:
        text: YAML.
        source: The file that the text is from: mistakes name it, and relative paths in the text start from its folder.
            Without a file they start from the working directory.
        quick: As of `load_study`.

    Raises:
        StudyFileError: If the text has mistakes; carries every one of them, in the order of the file.
    """
    document = read_yaml(text, source)
    if document.root is None:
        raise StudyFileError([mistake for _, mistake in document.mistakes])
    variants = [without_quick(document), *([small_variant(document)] if has_quick(document) else [])]
    drafts = [_checked(variant) for variant in variants]
    mistakes = [*quick_mistakes(document, asked=quick), *drafts[0].mistakes()]
    mistakes += [of_quick(mistake) for mistake in drafts[-1].mistakes() if mistake not in mistakes]
    if mistakes:
        raise StudyFileError(sorted(mistakes, key=lambda mistake: mistake.line))
    draft = drafts[-1] if quick else drafts[0]
    root = os.path.abspath("." if source == TEXT else os.path.dirname(source))
    spec = resolved(draft.spec, root)
    resolved_yaml = canonical_yaml(spec)
    return Study(spec=spec, source=source, resolved_yaml=resolved_yaml, sha256=sha256_of(resolved_yaml))


def _checked(document: Document) -> Draft:
    assert document.root is not None, "a file that can't be read has been refused"
    draft = Draft(document, document.root)
    check_study(draft)
    return draft


def _unreadable(file: str, line: int, message: str) -> StudyFileError:
    return StudyFileError([Mistake(file=file, line=line, path=WHOLE_FILE, message=message)])
