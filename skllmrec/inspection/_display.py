"""Base class of the displays that draw into one pair of axes."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self, cast

from skllmrec._drawing import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class BaseDisplay(ABC):
    """A display that draws into one pair of axes; a subclass implements ``_draw(ax)``."""

    ax_: "Axes"
    figure_: "Figure"

    def plot(self, *, ax: "Axes | None" = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw into; several displays may share them. If None, a new figure is made.

        Returns
        -------
        self : object
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes(type(self).__name__) if ax is None else ax
        self._draw(ax)
        self.ax_ = ax
        self.figure_ = cast("Figure", ax.get_figure())
        return self

    @abstractmethod
    def _draw(self, ax: "Axes") -> None:
        """Draw into the axes."""
