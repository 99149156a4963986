"""`python -m hpstudy.testing mypackage.losses:MyHead temperature=0.1`: the conformance suite over any loss.

The name is one of the catalogue, an installed package's, or `module:attribute`; parameters and options follow.
Exit status 0 if every promise is kept, 1 if not, 2 for a name or a parameter that is refused.
"""

import os
import sys
from pathlib import Path

import pytest

from hpstudy.exceptions import InputError
from hpstudy.losses import build_head
from hpstudy.testing import _one_loss

_USAGE = "usage: python -m hpstudy.testing LOSS [PARAMETER=VALUE ...], e.g. mypackage.losses:MyHead temperature=0.1"


def main(arguments: list[str]) -> int:
    """Run the suite; gives the exit status."""
    if not arguments or arguments[0].startswith("-") or not all("=" in each for each in arguments[1:]):
        print(_USAGE, file=sys.stderr)
        return 2
    name = arguments[0]
    params = {key: _value(text) for key, _, text in (each.partition("=") for each in arguments[1:])}
    sys.path.insert(0, os.getcwd())
    try:
        build_head(name, num_classes=3, embedding_dim=2, **params)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    suite = str(Path(_one_loss.__file__))
    flags = ["-q", "-c", os.devnull, "--rootdir", str(Path(suite).parent), "-p", "no:cacheprovider"]
    return int(pytest.main([*flags, suite], plugins=[_one_loss.LossPlugin(name, params)]) != 0)


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
