"""What all figures share: colours that people with any colour vision can distinguish, and plain axes."""

from typing import Any

from skllmrec._optional import import_optional

# colours for any colour vision (Okabe and Ito 2008), each with a marker
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")


def point_style(position: int) -> dict[str, Any]:
    """Colour and marker of the series at a position, as keywords of ``Axes.plot``."""
    return {
        "color": COLOURS[position % len(COLOURS)],
        "marker": MARKERS[position % len(MARKERS)],
        "markersize": 8,
    }


def new_axes(purpose: str) -> Any:
    """Make a figure and return its axes.

    Parameters
    ----------
    purpose : str
        What draws, for the message where matplotlib is missing.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    pyplot = import_optional("matplotlib.pyplot", extra="demo", purpose=purpose)
    return pyplot.subplots(figsize=(7, 4.6), layout="constrained")[1]


def tidy(ax: Any) -> None:
    """Remove the upper and the right spine, and draw a faint grid behind the data."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.7)
    ax.set_axisbelow(True)
