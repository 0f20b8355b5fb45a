"""Pictures of a comparison: accuracy against diversity, and relative gains; readable by everyone."""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec._drawing import new_axes, point_style, tidy
from skllmrec._optional import import_optional
from skllmrec._typing import Frame, Path
from skllmrec.comparison._formatting import contestants_of, lower_is_better, unit_of
from skllmrec.inspection import FrontierDisplay, PopularityDisplay

if TYPE_CHECKING:
    from skllmrec.comparison._result import Comparison


# where a label may stand, seen from its point, in font sizes: near first, then further away
_PLACES = [
    (dx * reach, dy * reach)
    for reach in (1.0, 2.2, 3.6, 5.2)
    for dx, dy in ((1, 0), (1, 0.9), (1, -0.9), (-1, 0), (-1, 0.9), (-1, -0.9), (0, 1.3), (0, -1.3))
]


def _error(row):
    """Lengths of the two halves of an error bar, or None where there is no interval."""
    if not np.isfinite(row["ci_low"]):
        return None
    return [[max(row["mean"] - row["ci_low"], 0.0)], [max(row["ci_high"] - row["mean"], 0.0)]]


def _overlap(box, boxes):
    return sum(
        max(0.0, min(box.x1, other.x1) - max(box.x0, other.x0))
        * max(0.0, min(box.y1, other.y1) - max(box.y0, other.y0))
        for other in boxes
    )


def _outside(box, frame):
    width = max(0.0, frame.x0 - box.x0) + max(0.0, box.x1 - frame.x1)
    height = max(0.0, frame.y0 - box.y0) + max(0.0, box.y1 - frame.y1)
    return width * box.height + height * box.width


def _label_points(ax, rows_x, rows_y, names):
    """Write each name beside its point, where it covers no point, no bar, no other name and no edge.

    Each label tries the places of `_PLACES` in turn and takes the one with the least overlap; a thin line
    leads from the point to a label that had to move away.
    """
    from matplotlib.transforms import Bbox

    figure, size = ax.get_figure(), 9
    figure.draw_without_rendering()  # fixes the layout, so that pixels can be compared
    frame, scale = ax.get_window_extent(), figure.dpi / 72
    pixels = ax.transData.transform([(x["mean"], y["mean"]) for x, y in zip(rows_x, rows_y, strict=True)])
    half = 6 * scale  # of a marker
    taken = [Bbox.from_extents(px - half, py - half, px + half, py + half) for px, py in pixels]
    taken += _bar_boxes(ax, rows_x, rows_y)
    for (px, py), x, y, name in zip(pixels, rows_x, rows_y, names, strict=True):
        label = ax.annotate(
            name,
            (x["mean"], y["mean"]),
            textcoords="offset points",
            xytext=(0, 0),
            fontsize=size,
            va="center",
        )
        extent = label.get_window_extent()
        best = None
        for dx, dy in _PLACES:
            left = px + dx * size * scale - extent.width * (0.5 - 0.5 * np.sign(dx))
            bottom = py + dy * size * scale - extent.height / 2
            box = Bbox.from_bounds(left, bottom, extent.width, extent.height)
            cost = _overlap(box, taken) + _outside(box, frame)
            if best is None or cost < best[0]:
                best = cost, (dx, dy), box
        taken.append(best[2])
        _move(label, best[1], size)


def _bar_boxes(ax, rows_x, rows_y):
    """Boxes, in pixels, of the error bars."""
    from matplotlib.transforms import Bbox

    boxes = []
    for x, y in zip(rows_x, rows_y, strict=True):
        spans = [((x["mean"], y["ci_low"]), (x["mean"], y["ci_high"]))]
        spans.append(((x["ci_low"], y["mean"]), (x["ci_high"], y["mean"])))
        for start, end in spans:
            if np.isfinite([*start, *end]).all():
                (x0, y0), (x1, y1) = ax.transData.transform([start, end])
                boxes.append(Bbox.from_extents(x0 - 3, y0 - 3, x1 + 3, y1 + 3))
    return boxes


def _move(label, place, size):
    """Move a label to its place; where that is not next to the point, draw a line between them."""
    dx, dy = place
    label.set_ha("left" if dx > 0 else "right" if dx < 0 else "center")
    label.set_position((dx * size, dy * size))
    if max(abs(dx), abs(dy)) > 1.5:
        label.axes.annotate(
            "",
            label.xy,
            textcoords="offset points",
            xytext=(dx * size, dy * size),
            zorder=0,
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4},
        )


def scatter_plot(comparison: "Comparison", x: str, y: str, *, ax: Any = None) -> Any:
    """Draw one metric against another: a point per estimator, bars for the intervals that exist.

    A dashed line joins the estimators that no other one beats in one metric without losing in the other.

    Parameters
    ----------
    comparison : Comparison
        What to draw.
    x, y : str
        Labels of two metrics.
    ax : matplotlib Axes or None, default=None
        Where to draw; None makes a figure.

    Returns
    -------
    ax : matplotlib Axes
    """
    ax = new_axes("Comparison.plot") if ax is None else ax
    rows = comparison.frame.set_index(["estimator", "metric"])
    rows_x, rows_y = ([rows.loc[(name, axis)] for name in comparison.estimators] for axis in (x, y))
    for position, (row_x, row_y) in enumerate(zip(rows_x, rows_y, strict=True)):
        ax.errorbar(
            row_x["mean"],
            row_y["mean"],
            xerr=_error(row_x),
            yerr=_error(row_y),
            linestyle="none",
            elinewidth=1.2,
            capsize=3,
            **point_style(position),
        )
    points = np.array([[row_x["mean"], row_y["mean"]] for row_x, row_y in zip(rows_x, rows_y, strict=True)])
    upward = points * [-1 if lower_is_better(comparison, metric) else 1 for metric in (x, y)]
    kept = points[FrontierDisplay(diversity=upward[:, 0], accuracy=upward[:, 1], names=[]).on_frontier]
    ax.plot(*kept[np.argsort(kept[:, 0], kind="stable")].T, color="0.6", linewidth=1, linestyle="--", zorder=1)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.margins(x=0.15, y=0.15)
    tidy(ax)
    _label_points(ax, rows_x, rows_y, comparison.estimators)
    return ax


def gain_plot(comparison: "Comparison", metric: str, *, ax: Any = None) -> Any:
    """Draw the gain of each estimator over the reference, with its confidence interval.

    Baselines are left out: beside the distance to what knows nothing, the others would look alike.

    Parameters
    ----------
    comparison : Comparison
        What to draw.
    metric : str
        Label of a metric that exists per user.
    ax : matplotlib Axes or None, default=None
        Where to draw; None makes a figure.

    Returns
    -------
    ax : matplotlib Axes
    """
    ax = new_axes("Comparison.plot") if ax is None else ax
    reference = comparison.settings["reference"]
    names = contestants_of(comparison)
    for height, name in enumerate(reversed(names)):
        position = comparison.estimators.index(name)  # the same colour in every picture
        gain, low, high = (100 * comparison.value(name, metric, column) for column in ("gain", "gain_low", "gain_high"))
        if not np.isfinite(gain):
            continue
        if np.isfinite(low) and np.isfinite(high):
            ax.plot([low, high], [height, height], color=point_style(position)["color"], linewidth=2)
        ax.plot(gain, height, **point_style(position))
        text, place, align = f"{gain:+.1f} %", (0, 9), "center"
        if name == reference:
            text, place, align = "reference", (8, 0), "left"
        ax.annotate(
            text,
            (gain, height),
            textcoords="offset points",
            xytext=place,
            ha=align,
            va="center" if name == reference else "baseline",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},  # the line at zero may cross it
        )
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set_yticks(range(len(names)), names[::-1])
    ax.set_ylim(-0.6, len(names) - 0.2)
    ax.margins(x=0.12)
    level = comparison.settings["level"]
    ax.set_xlabel(
        f"gain of {metric} over {reference!r} in %,\nwith {100 * level:g} % interval over {unit_of(comparison)}"
    )
    tidy(ax)
    ax.grid(axis="y", visible=False)
    return ax


def popularity_plot(comparison: "Comparison", names: Sequence[str], *, ax: Any = None) -> Any:
    """Draw the recall of little known and of well known items, a curve for each estimator.

    Parameters
    ----------
    comparison : Comparison
        What to draw.
    names : sequence of str
        Estimators with rows in ``comparison.by_popularity``.
    ax : matplotlib Axes or None, default=None
        Where to draw; None makes a figure.

    Returns
    -------
    ax : matplotlib Axes
    """
    ax = new_axes("Comparison") if ax is None else ax
    for name in names:
        bins = pool_bins(comparison.by_popularity[comparison.by_popularity["estimator"] == name])
        PopularityDisplay(**bins, metric=f"recall@{comparison.settings['k']}", name=name).plot(ax=ax)
    return ax


def pool_bins(rows: Frame) -> dict[str, Any]:
    """Pool the bins of several folds, as if each held users of its own; bins without users are left out.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of one estimator: ``fold, bin, mean, error, n_users, low, high``.

    Returns
    -------
    pooled : dict
        ``means, errors, n_users`` (ndarray) and ``bins`` (labels), as `PopularityDisplay` takes them.
    """
    rows = rows[rows["n_users"] > 0]
    ends = rows.groupby("bin").agg({"low": "min", "high": "max"}).astype(int)
    names = [f"{low}" if low == high else f"{low}-{high}" for low, high in ends.itertuples(index=False)]
    weighted = rows.assign(
        name=rows["bin"].map(dict(zip(ends.index, names, strict=True))),
        total=rows["mean"] * rows["n_users"],
        square=(rows["error"] * rows["n_users"]) ** 2,
    )
    # by name: what is known to the same number of users may be in one bin in a fold, and in the next in another
    sums = weighted.groupby("name", sort=False)[["total", "square", "n_users"]].sum().loc[list(dict.fromkeys(names))]
    return {
        "means": (sums["total"] / sums["n_users"]).to_numpy(float),
        "errors": (np.sqrt(sums["square"]) / sums["n_users"]).to_numpy(float),
        "n_users": sums["n_users"].to_numpy(),
        "bins": list(sums.index),
    }


def _draw(draw, width, height):
    """Draw into a figure of its own, apart from pyplot and its windows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure.add_subplot())
    return figure


def svg(draw: Callable[[Any], Any], *, width: float = 5.8, height: float = 4.2) -> str:
    """Draw into a figure of its own and return it as an SVG element that scales with the page.

    Parameters
    ----------
    draw : callable
        Takes an Axes.
    width, height : float
        Size in inches.

    Returns
    -------
    element : str
        ``<svg ...>...</svg>``, text drawn as paths, so that it looks the same everywhere.
    """
    matplotlib = import_optional("matplotlib", extra="demo", purpose="the report")
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "skllmrec", "font.size": 10}):
        _draw(draw, width, height).savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def save_png(draw: Callable[[Any], Any], path: Path, *, width: float = 7.0, height: float = 4.6) -> None:
    """Draw into a figure of its own and write it as a PNG file of 1,400 by 920 pixels.

    Parameters
    ----------
    draw : callable
        Takes an Axes.
    path : str or Path
        The file.
    width, height : float
        Size in inches.
    """
    import_optional("matplotlib", extra="demo", purpose="the picture")
    _draw(draw, width, height).savefig(path, format="png", dpi=200)
