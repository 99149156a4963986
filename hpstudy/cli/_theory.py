"""`hpstudy losses` and `hpstudy bounds`: what the papers say, before anything is trained."""

import json
from typing import Annotated

import typer

_DEFAULT_POSTERIORS = [0.5, 0.9, 0.99, 0.999]
_DEFAULT_MARGINS = [0.35]


def losses(
    name: Annotated[str | None, typer.Argument(help="A loss; left out, the family is listed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """The loss family: units, defaults, plausible ranges, papers and bounds.

    Example: `hpstudy losses cosface` shows one loss, with its posterior against the target angle.
    """
    from hpstudy.cli import _losses_view as view

    if as_json:
        typer.echo(json.dumps(view.family() if name is None else view.one(name), ensure_ascii=False))
    elif name is None:
        view.show_family()
    else:
        view.show_one(name)


def bounds(
    classes: Annotated[int, typer.Option(help="Number of classes C.")],
    dim: Annotated[int, typer.Option(help="Embedding dimension K.")],
    posterior: Annotated[
        list[float], typer.Option(help="Posterior of the class centres; may be repeated.")
    ] = _DEFAULT_POSTERIORS,
    margin: Annotated[
        list[float], typer.Option(help="m, as a cosine for CosFace and in rad for ArcFace; may be repeated.")
    ] = _DEFAULT_MARGINS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """What theory says of s and m for C classes in K dimensions, without training anything.

    Example: `hpstudy bounds --classes 10575 --dim 512 --posterior 0.9 --margin 0.35 --margin 0.5`
    """
    from hpstudy.cli import _bounds_view as view

    report = view.compute(classes, dim, posterior, margin)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        view.show(report)
