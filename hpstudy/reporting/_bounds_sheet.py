"""One figure of the bounds on s and m for given C and K, before anything is trained."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from hpstudy.reporting._bound_curves import BoundCurves, bound_curves
from hpstudy.reporting._plot_file import check_plot_path, save_plot
from hpstudy.reporting._sheet_limits import margin_limits_panel, rule_panel
from hpstudy.reporting._sheet_scale import LABEL_SIZE, needed_scale_panel, posterior_panel
from hpstudy.reporting._style import MUTED, drawing, new_figure

_CAPTION = (
    "Dots: the $P_W$, $m$ and C given. a: in the grey no prototypes reach $P_W$; AdaCos 45° and 30° are the dynamic "
    "rule\n"
    r"at that $\theta_{\mathrm{med}}$. b: the margin counts in $P_W$. "
    "c: the least $m$ keeps a class tighter than the gap to the next;\n"
    "grey band: K + 2 ≤ C ≤ 2K. d: among evenly spread classes; arrows show where $s$ moves, past 45° as at 45°."
)


def plot_bounds(
    num_classes: int, dim: int, posteriors: Sequence[float], margins: Sequence[float], paths: Sequence[Path]
) -> None:
    """Draws the bounds on s and m and writes the figure to each of `paths`, as PNG, SVG or PDF by its ending.

    Equal arguments give equal bytes. A file that is there is replaced; one that can't be written is left as it was.

    Args:
        num_classes: Number of classes C.
        dim: Embedding dimension K.
        posteriors: P_W that are marked, at most 6.
        margins: m that are marked, as a cosine for CosFace and in rad for ArcFace; at most 6.
        paths: Files in folders that exist.

    Raises:
        InputError: If an argument is outside its range, or a file can't be written.
        HpstudyError: If the disk is full.
    """
    for path in paths:
        check_plot_path(path)
    curves = bound_curves(num_classes, dim, posteriors, margins)
    with drawing():
        figure = bounds_sheet(curves)
        for path in paths:
            save_plot(figure, path)


def bounds_sheet(curves: BoundCurves) -> Figure:
    """Four panels: s against P_W, s against m, the limits of m against C, and where dynamic AdaCos comes to rest.

    Args:
        curves: `bound_curves` of the C, K, posteriors and margins to show.
    """
    figure = new_figure(5.95)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    figure.suptitle(_title(curves.num_classes, curves.dim), x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    figure.supxlabel(_CAPTION, x=0.01, ha="left", fontsize=LABEL_SIZE, color=MUTED, linespacing=1.3)
    (posterior, needed), (limits, rule) = figure.subplots(2, 2)
    posterior_panel(posterior, curves)
    needed_scale_panel(needed, curves)
    margin_limits_panel(limits, curves)
    rule_panel(rule, curves)
    return figure


def _title(classes: int, dim: int) -> str:
    if classes <= dim + 1:
        regime = "C ≤ K + 1: a simplex fits"
    elif classes <= 2 * dim:
        regime = "K + 2 ≤ C ≤ 2K"
    else:
        regime = "C > 2K"
    return f"C = {classes:,} classes in K = {dim:,} dimensions ({regime})"
