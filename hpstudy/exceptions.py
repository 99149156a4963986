"""Errors that hpstudy raises on purpose.

HpstudyError
├── InputError (also a ValueError)      something given by the user is not allowed
│   └── StudyFileError                  a study file has one or more mistakes; carries them all
├── StudyConflictError                  the study's name is taken by another file, or another driver is running it
└── StudyFailedError                    the study ended without an answer
"""

from collections.abc import Sequence
from dataclasses import dataclass


class HpstudyError(Exception):
    """Base of every error that hpstudy raises on purpose."""


class InputError(HpstudyError, ValueError):
    """Something given by the user is not allowed; the message says what is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """One mistake in a study file."""

    file: str
    line: int
    """1-based line of the offending key or value."""
    path: str
    """Dotted key path, e.g. `arms.arcface.search.m`."""
    message: str
    """What was given, what is allowed, and the nearest name for a misspelt key."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.message}"


class StudyFileError(InputError):
    """A study file has one or more mistakes.

    Attributes:
        mistakes: Every mistake found, in the order of the file.
    """

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class StudyConflictError(HpstudyError):
    """The study's name is taken by another file, or another driver is running it."""


class StudyFailedError(HpstudyError):
    """The study ended without an answer."""
