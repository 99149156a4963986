"""`hpstudy losses` and `hpstudy bounds`: what the papers say, before anything is trained."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from hpstudy.exceptions import InputError

_DEFAULT_POSTERIORS = [0.5, 0.9, 0.99, 0.999]
_DEFAULT_MARGINS = [0.35]


def losses(
    name: Annotated[str | None, typer.Argument(help="A loss or a regulariser; left out, all are listed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """The loss family and its regularisers: units, defaults, plausible ranges, papers and bounds.

    Example: `hpstudy losses cosface` shows one loss, with its posterior against the target angle.
    """
    from hpstudy.cli._loss_view import one, show_one
    from hpstudy.cli._losses_view import family, show_family

    if as_json:
        typer.echo(json.dumps(family() if name is None else one(name), ensure_ascii=False))
    elif name is None:
        show_family()
    else:
        show_one(name)


def bounds(
    c: Annotated[int | None, typer.Argument(metavar="C", help="Number of classes.", show_default=False)] = None,
    k: Annotated[int | None, typer.Argument(metavar="K", help="Embedding dimension.", show_default=False)] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes C.", show_default=False)] = None,
    dim: Annotated[int | None, typer.Option(help="Embedding dimension K.", show_default=False)] = None,
    posterior: Annotated[
        list[float], typer.Option(help="Posterior of the class centres; may be repeated.")
    ] = _DEFAULT_POSTERIORS,
    margin: Annotated[
        list[float], typer.Option(help="m, as a cosine for CosFace and in rad for ArcFace; may be repeated.")
    ] = _DEFAULT_MARGINS,
    plot: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Draw the bounds too: .png, .svg or .pdf; may be repeated. A file that is there is replaced.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """What theory says of s and m for C classes in K dimensions, without training anything.

    Example: `hpstudy bounds 10575 512 --posterior 0.9 --margin 0.35 --margin 0.5 --plot bounds.pdf`
    """
    from hpstudy.cli import _bounds_view as view

    num_classes, dimension = _size("C", "--classes", c, classes), _size("K", "--dim", k, dim)
    paths = plot or []
    if paths:
        from hpstudy.reporting import check_plot_path, plot_bounds

        for path in paths:
            check_plot_path(path)
    report = view.compute(num_classes, dimension, posterior, margin)
    if paths:
        plot_bounds(num_classes, dimension, posterior, margin, paths)
    report["plots"] = [os.fspath(path) for path in paths]
    if as_json:
        typer.echo(json.dumps(report))
    else:
        view.show(report)


def _size(letter: str, option: str, placed: int | None, named: int | None) -> int:
    if placed is not None and named is not None:
        raise InputError(f"{letter} is given twice, as {placed} and as {option} {named}: give it once")
    value = placed if named is None else named
    if value is None:
        raise InputError(
            f"{letter} is missing: give both as in `hpstudy bounds 10575 512`, or --classes 10575 --dim 512"
        )
    return value
