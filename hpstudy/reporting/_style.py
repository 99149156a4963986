"""One look for all figures: type, ink, and the colour and marker that an arm keeps throughout."""

import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, cast

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox, IdentityTransform

from hpstudy.analysis import ArmKind

WIDTH = 6.5
"""Width of a figure in inches; the text block of the report is as wide, so that type keeps its size."""

SCREEN_DPI = 140
"""Dots per inch of a figure that a browser shows."""

INK, MUTED, FAINT = "#222222", "#6b6b6b", "#d9d9d9"

# Matplotlib measures with a font it ships and the page sets Libertinus, which Typst embeds; their widths are close.
_MEASURED, _SET = "STIXGeneral", "Libertinus Serif"
_FALLBACK = "DejaVu Sans"

_RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hpstudy",
    "font.family": [_MEASURED, _FALLBACK],
    "mathtext.fontset": "stix",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "lines.linewidth": 1.1,
    "figure.constrained_layout.use": True,
}

_ONE_AT_A_TIME = threading.RLock()

LineStyle = Literal["-", "--", ":", "-."]

# Positions in seaborn's colour-blind-safe palette: cool colours for tuned arms, warm ones for adaptive scales.
_TUNED_COLOURS, _ADAPTIVE_COLOURS = (0, 2, 4, 9, 7, 5), (3, 1, 8, 6)
_TUNED_MARKERS, _ADAPTIVE_MARKERS = "os^vPXhp", "Dd*8"
_DASHES: tuple[LineStyle, ...] = ("-", "--", ":", "-.")


@dataclass(frozen=True, slots=True)
class ArmStyle:
    """How an arm is drawn, in every figure and table."""

    colour: str
    marker: str
    line: LineStyle
    width: float


def arm_styles(kinds: Mapping[str, ArmKind]) -> dict[str, ArmStyle]:
    """A style for each arm: adaptive scales warm and heavier, tuned arms cool; dashes once the colours are used up."""
    palette = sns.color_palette("colorblind").as_hex()
    styles = {}
    for adaptive in (False, True):
        colours = _ADAPTIVE_COLOURS if adaptive else _TUNED_COLOURS
        markers = _ADAPTIVE_MARKERS if adaptive else _TUNED_MARKERS
        for i, arm in enumerate(arm for arm, kind in kinds.items() if (kind == "adaptive") == adaptive):
            styles[arm] = ArmStyle(
                colour=palette[colours[i % len(colours)]],
                marker=markers[i % len(markers)],
                line=_DASHES[i // len(colours) % len(_DASHES)],
                width=1.5 if adaptive else 1.1,
            )
    return styles


@contextmanager
def drawing() -> Iterator[None]:
    """Figures made and saved inside look alike; matplotlib's own settings are untouched afterwards.

    Those settings belong to the whole process: one thread draws at a time.
    """
    with _ONE_AT_A_TIME, mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # only the measuring font lacks it
        mpl.rcParams.update(cast(Any, sns.axes_style("ticks")))
        mpl.rcParams.update(cast(Any, _RC))
        yield


def new_figure(height: float) -> Figure:
    """An empty figure of the report's width; independent of pyplot and its state."""
    return Figure(figsize=(WIDTH, height))


def literal(text: object) -> str:
    """Text from data for a figure: `$` is no mathematics, and control characters, which no SVG holds, are dropped."""
    plain = str(text).replace("\N{NO-BREAK SPACE}", " ")
    return "".join(c for c in plain if c.isprintable()).replace("$", r"\$")


def as_png(figure: Figure) -> bytes:
    """The figure on white for a screen, the same bytes for the same figure."""
    file = BytesIO()
    with _drawn_once(figure, dpi=SCREEN_DPI, background="white"):
        cast(Any, FigureCanvasAgg(figure)).print_png(file, metadata={"Software": None})
    return file.getvalue()


def save(figure: Figure, path: Path) -> Path:
    """Writes the figure as SVG with text as text, the same bytes for the same figure."""
    with _drawn_once(figure, dpi=figure.dpi, background="none"):
        for axes in figure.axes:
            axes.patch.set_visible(False)
        cast(Any, FigureCanvasSVG(figure)).print_svg(path, metadata={"Date": None, "Creator": None})
    svg = path.read_text(encoding="utf-8")
    path.write_text(svg.replace(f"'{_MEASURED}'", f"'{_SET}', '{_MEASURED}', serif"), encoding="utf-8")
    return path


@contextmanager
def _drawn_once(figure: Figure, *, dpi: float, background: str) -> Iterator[None]:
    """What `Figure.savefig` sets around a canvas' own printing; it draws everything twice, once to see where it goes.

    Drawing takes most of the time of a report.
    """
    before = figure.dpi, figure.get_facecolor(), [axes.patch.get_visible() for axes in figure.axes]
    figure.dpi = dpi
    figure.set_facecolor(background)
    try:
        yield
    finally:
        figure.dpi = before[0]
        figure.set_facecolor(before[1])
        for axes, visible in zip(figure.axes, before[2], strict=True):
            axes.patch.set_visible(visible)


def arm_legend(figure: Figure, styles: Mapping[str, ArmStyle], *, markers: bool = False) -> None:
    """One legend above all panels, with the arms in the order of `styles`."""
    handles = [
        Line2D(
            [], [], color=style.colour, label=literal(arm),
            linestyle="none" if markers else style.line, linewidth=style.width,
            marker=style.marker if markers else None, markersize=4.5,
        )
        for arm, style in styles.items()
    ]  # fmt: skip
    legend_above(figure, handles)


def legend_above(figure: Figure, handles: Sequence[Line2D]) -> None:
    """A legend above all panels, in as few rows as its texts allow."""
    widths = [0.36 + 0.056 * len(str(handle.get_label())) for handle in handles]
    columns = len(widths)
    while columns > 1 and sum(max(widths[i::columns]) for i in range(columns)) > WIDTH:
        columns -= 1
    rows = -(-len(handles) // columns)
    # Matplotlib fills columns first; readers go along rows.
    order = [row * columns + column for column in range(columns) for row in range(rows)]
    figure.legend(
        handles=[handles[i] for i in order if i < len(handles)], loc="outside upper left", ncols=columns,
        borderaxespad=0.1,
    )  # fmt: skip


def panel_title(axes: Axes, letter: str, text: str) -> None:
    """A panel's letter in bold and what it shows."""
    axes.set_title(f"{letter}", loc="left", pad=4)
    axes.annotate(
        text, (0, 1), xycoords="axes fraction", xytext=(10, 4), textcoords="offset points", va="baseline", ha="left"
    )


class _RowTitle(Annotation):
    """Has room made for its height alone: a long name would push the next panel away."""

    def get_tightbbox(self, renderer: RendererBase | None = None) -> Bbox | None:
        box = super().get_tightbbox(renderer)
        return Bbox.from_bounds(box.x0, box.y0, 1.0, box.height) if box is not None else None


def row_title(axes: Axes, text: str, *, above_panel_title: bool = False) -> None:
    """The name of a row of panels, above the first of them; it may reach over the others."""
    title = _RowTitle(
        literal(text), (0, 1), xycoords="axes fraction", xytext=(0, 17 if above_panel_title else 4),
        textcoords="offset points", va="baseline", ha="left", fontstyle="italic", annotation_clip=False,
        clip_on=False,
    )  # fmt: skip
    title.set_transform(IdentityTransform())
    axes.add_artist(title)


def spread_labels(positions: list[float], gap: float, low: float, high: float) -> list[float]:
    """Moves label positions apart to at least `gap`, each as little as needed, inside [`low`, `high`] if they fit."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    placed = [min(max(positions[i], low), high) for i in order]
    for _ in range(200):
        moved = False
        for i in range(len(placed) - 1):
            lack = gap - (placed[i + 1] - placed[i])
            if lack > 1e-9:
                placed[i] -= lack / 2
                placed[i + 1] += lack / 2
                moved = True
        if placed and placed[0] < low:
            placed[0] = low
        if placed and placed[-1] > high:
            placed[-1] = high
        if not moved:
            break
    result = [0.0] * len(positions)
    for position, index in zip(placed, order, strict=True):
        result[index] = position
    return result
