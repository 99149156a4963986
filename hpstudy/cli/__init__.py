"""The `hpstudy` command; it ends with 0 (done), 1 (the study failed), 2 (bad input) or 130 (interrupted)."""

from hpstudy.cli._app import app, main

__all__ = ["app", "main"]
