"""A progress bar on the error stream, for long loops."""

import sys
import time

_WIDTH = 30


class Progress:
    """Draws how far a loop has come, and how long the rest may take.

    Parameters
    ----------
    total : int
        The number of steps.
    what : str
        What a step is, in the plural.
    verbose : int
        Nothing is drawn for 0.
    """

    def __init__(self, total: int, what: str, verbose: int) -> None:
        self.total = total
        self.what = what
        self.shown = bool(verbose)
        self.start = time.perf_counter()
        self.last = -1

    def update(self, done: int) -> None:
        """Draw the bar anew if it has grown by a percent."""
        percent = 100 * done // self.total
        if not self.shown or percent == self.last:
            return
        self.last = percent
        passed = time.perf_counter() - self.start
        left = passed / done * (self.total - done)
        bar = "#" * (_WIDTH * done // self.total)
        end = "\n" if done == self.total else ""
        sys.stderr.write(
            f"\r{bar:{_WIDTH}} {percent:3d} % of {self.total} {self.what}, {left:.0f} s left {end}"
        )
        sys.stderr.flush()
