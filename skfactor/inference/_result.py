"""What a test says: its null in words, a number, and how far to trust it."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HypothesisTest:
    """The outcome of a test.

    Parameters
    ----------
    name : str
        What the test is called.
    null : str
        The null hypothesis in words.
    statistic : float
        The test statistic.
    p_value : float
        The probability of a statistic at least as extreme under the null.
    distribution : str
        The law of the statistic under the null: ``"F"``, ``"chi2"`` or ``"normal"``.
    df : tuple of float, default=()
        The degrees of freedom of that law.
    exact : bool, default=False
        Whether the law holds in samples of this size, given what ``notes`` suppose, and not
        only in large ones.
    notes : tuple of str, default=()
        What the p-value supposes, and what was done to the data.
    parts : tuple of HypothesisTest, default=()
        Tests that the null is made up of.

    Examples
    --------
    >>> from skfactor.inference import HypothesisTest
    >>> HypothesisTest("GRS", "All alphas are zero.", 1.4, 0.13, "F", (25, 331), exact=True)
    GRS: F(25, 331) = 1.400, p = 0.130 (exact)
    Null: All alphas are zero.
    """

    name: str
    null: str
    statistic: float
    p_value: float
    distribution: str
    df: tuple[float, ...] = ()
    exact: bool = False
    notes: tuple[str, ...] = field(default=())
    parts: tuple["HypothesisTest", ...] = field(default=())

    def __repr__(self) -> str:
        """Return a few lines that can be read."""
        df = f"({', '.join(f'{value:g}' for value in self.df)})" if self.df else ""
        p = f"= {self.p_value:.3f}" if not self.p_value < 0.001 else f"= {self.p_value:.2g}"
        if self.p_value == 0:
            p = "< 1e-300"  # no number is closer to 0
        statistic = _readable(self.statistic)
        kind = "exact" if self.exact else "approximate"
        lines = [
            f"{self.name}: {self.distribution}{df} = {statistic}, p {p} ({kind})",
            f"Null: {self.null}",
            *(f"Note: {note}" for note in self.notes),
        ]
        for part in self.parts:
            lines += [f"  {line}" for line in repr(part).splitlines()]
        return "\n".join(lines)


def _readable(value: float) -> str:
    """Return three decimals, or three significant digits where those would be zeros."""
    size = abs(value)
    if size == 0 or size >= 0.1 or math.isnan(size):
        return f"{value:.3f}"
    return f"{value:.2e}" if size < 1e-3 else f"{value:.{2 - math.floor(math.log10(size))}f}"
