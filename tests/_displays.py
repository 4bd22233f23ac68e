"""What tests of displays share: how legends read, and which figures a display leaves behind."""

import functools
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt


def legend_texts(display: Any) -> list[str]:
    """Return the entries of a display's legend."""
    return [text.get_text() for text in display.legend_.get_texts()]


def watched(plot: Callable[..., Any], left_over: list[str]) -> Callable[..., Any]:
    """Return ``plot`` that notes figures of pyplot's which it leaves and which are not its own.

    A display may open one figure, its own, and none if it is given axes or raises.
    """

    @functools.wraps(plot)
    def watching(display: Any, *args: Any, **kwargs: Any) -> Any:
        before = {*plt.get_fignums()}
        own: set[int] = set()
        try:
            made = plot(display, *args, **kwargs)
            own = {getattr(made.figure_, "number", 0)}
            return made
        finally:
            strange = {*plt.get_fignums()} - before - own
            if strange:
                left_over.append(f"{type(display).__name__} left {len(strange)} figures open")

    return watching
