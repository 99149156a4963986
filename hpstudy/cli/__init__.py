"""The `hpstudy` command.

It ends with 0 (done; `ui` also when Ctrl-C ends it), 1 (the study failed), 2 (bad input) or 130 (interrupted).
"""

from hpstudy.cli._app import app, main

__all__ = ["app", "main"]
