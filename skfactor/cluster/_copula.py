"""Data like the data at hand, but with no clusters: one elliptical cloud, one-mode margins."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import isotonic_regression
from scipy.special import gammaln, ndtri, stdtrit
from scipy.stats import rankdata

from skfactor._typing import ArrayLike, FloatArray, IntArray, RandomState
from skfactor._validation import check_table, draw_seed, listed

Margins = Literal["unimodal", "empirical"]
MARGINS = ("unimodal", "empirical")
# Places tried for the mode of a column, evenly spread over its order statistics.
N_MODES = 33
# Degrees of freedom tried beside the normal copula, and pairs of columns that decide.
FREEDOMS = (2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0)
N_PAIRS = 64
# Distances between the rows that are compared for Kendall's tau, at most.
N_LAGS = 100
# Share of the values at either end of a column that every draw keeps.
KEPT_EXTREMES = 0.02
# Rows, and share of the rows, from which on a value that they share is an atom of its column.
ATOM_ROWS = 3
ATOM_SHARE = 0.02


@dataclass(frozen=True, eq=False)
class Margin:
    """The distribution of one column, by its sorted quantiles at (i + 1/2) / n."""

    quantiles: FloatArray
    kind: Literal["fixed", "steps", "smooth"]
    # Values at which a smooth distribution jumps.
    atoms: FloatArray = field(default_factory=lambda: np.empty(0))

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """Return as many sorted values as there are quantiles."""
        n_rows = len(self.quantiles)
        if self.kind == "fixed" or not n_rows:
            return self.quantiles
        # A sample, not the quantiles themselves: data are rougher than the law they come from,
        # and draws without that roughness would make any data look clustered.
        if self.kind == "steps":
            levels = np.sort(rng.uniform(size=n_rows))
            return self.quantiles[(levels * n_rows).astype(np.intp)]
        # The outermost values stay: where tails are heavy, they alone decide many a score.
        ends = int(np.ceil(KEPT_EXTREMES * n_rows))
        levels = np.sort(rng.uniform(ends, n_rows - ends, size=n_rows - 2 * ends))
        inner = np.interp(levels, np.arange(n_rows) + 0.5, self.quantiles)
        if len(self.atoms):
            # Nothing lies between an atom and its neighbours: there is no interpolation there.
            nearest = self.quantiles[levels.astype(np.intp)]
            inner = np.where(np.isin(nearest, self.atoms), nearest, inner)
        return np.concatenate([self.quantiles[:ends], inner, self.quantiles[n_rows - ends :]])


@dataclass(frozen=True, eq=False)
class NullModel:
    """What a draw needs: the margins, the dependence between columns, and what is missing."""

    margins: tuple[Margin, ...]
    loadings: FloatArray
    freedom: float
    missing: npt.NDArray[np.bool_]

    def draw(self, seed: int) -> FloatArray:
        """Return a table of the same shape as the data."""
        rng = np.random.default_rng(seed)
        n_rows, n_columns = self.missing.shape
        noise = rng.standard_normal((n_rows, self.loadings.shape[1]))
        latent = uncorrelated(noise) @ self.loadings.T
        if np.isfinite(self.freedom):
            latent /= np.sqrt(rng.chisquare(self.freedom, size=(n_rows, 1)) / self.freedom)
        drawn = np.full((n_rows, n_columns), np.nan)
        for j, margin in enumerate(self.margins):
            rows = np.flatnonzero(~self.missing[:, j])
            drawn[rows[np.argsort(latent[rows, j], kind="stable")], j] = margin.draw(rng)
        return drawn


def uncorrelated(noise: FloatArray) -> FloatArray:
    """Return centred noise whose columns are exactly uncorrelated, with equal variances.

    The draws then have the correlations of the data, not those plus sampling error: a second
    error on top of the first would stretch them more than the data.
    """
    if noise.shape[1] >= len(noise):
        return noise  # there are no such columns
    directions, triangle = np.linalg.qr(noise - noise.mean(axis=0))
    return directions * np.sign(np.diag(triangle)) * np.sqrt(len(noise))


def draw_null(
    X: ArrayLike, random_state: RandomState = None, *, margins: Margins = "unimodal"
) -> Any:
    r"""Draw data with the margins and rank correlations of `X` but no clusters.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The data: numbers, with missing values allowed.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw.
    margins : {"unimodal", "empirical"}, default="unimodal"
        What becomes of each column's distribution:

        - ``"unimodal"``: a sample from the distribution with one mode that is closest to it.
          Spread, skewness and the outermost values stay; separate humps, which are clusters to
          the naked eye, do not. Values that many rows share, such as zeros or a bound at which
          values were cut off, keep their frequency (see Notes).
        - ``"empirical"``: the very values of the column, in another order. If the clusters show
          as humps of a single column, the draw has them too, and a score has little to gain over
          it: the question becomes whether the columns cluster *jointly*.

    Returns
    -------
    ndarray or DataFrame of shape (n_samples, n_features)
        As many rows, of which the same cells are missing. A pandas or polars frame, or an
        arrow table, gives one with the same columns (and index).

    Raises
    ------
    ValueError
        If `X` is not a table of numbers, holds infinite values, or has fewer than two rows.

    See Also
    --------
    null_reference : A score beside its values on such draws.

    Notes
    -----
    Rows of a Student t or normal variable are drawn with the correlations
    :math:`\sin(\pi \tau_{jk} / 2)`, Kendall's :math:`\tau_b` being taken over the values that are
    there, moved to the nearest positive semi-definite matrix if need be. Column by column, ranks
    are then replaced by draws from its distribution. That is a t copula: one elliptical cloud, up
    to the shape of its margins. Its degrees of freedom say how often values are extreme together;
    they are the most likely ones by the density of pairs of columns [2]_.

    The closest distribution with one mode is convex below its mode and concave above; with the
    mode fixed it consists of the greatest convex minorant and the least concave majorant of the
    empirical distribution function [1]_, and the mode is placed where the largest gap to that
    function is smallest.

    A value shared by at least three rows and 2 % of a column is an atom: the distribution jumps
    there. Atoms at the minimum and at the maximum are kept, for that is what a bound leaves of one
    cloud: zeros of what cannot be negative, the ends of a winsorised column. Of the atoms in
    between the most frequent one is kept; several would be humps again. The rows outside these
    atoms get the closest distribution with one mode. So rows that share a value in *one* column,
    say zeros for "not reported", are no evidence of clusters; rows that share it in the same
    columns, more often than the correlations say, are.

    A column with fewer different values than a quarter of its rows keeps them, and their
    frequencies are made to rise and then fall.

    References
    ----------
    .. [1] J. A. Hartigan and P. M. Hartigan (1985), "The dip test of unimodality", Annals of
       Statistics 13, 70-84.
    .. [2] S. Demarta and A. J. McNeil (2005), "The t copula and related copulas", International
       Statistical Review 73, 111-129.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.cluster import draw_null
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-5, 1, (100, 2)), rng.normal(5, 1, (100, 2))])
    >>> drawn = draw_null(X, random_state=0)
    >>> between = (np.abs(X[:, 0]) < 2).mean(), (np.abs(drawn[:, 0]) < 2).mean()
    >>> [round(float(share), 1) for share in between]
    [0.0, 0.2]
    """
    return like(X, fit_null(X, margins).draw(draw_seed(random_state)))


def fit_null(X: Any, margins: Margins) -> NullModel:
    """Estimate the margins and the dependence of `X` once, for any number of draws."""
    if margins not in MARGINS:
        raise ValueError(f"`margins` must be one of {listed(MARGINS)}; got {margins!r}.")
    table = check_table(X, ensure_min_samples=2).astype(np.float64, copy=False)
    missing = np.isnan(table)
    observed = [np.sort(column[~gone]) for column, gone in zip(table.T, missing.T, strict=True)]
    fitted = tuple(
        unimodal_margin(column) if margins == "unimodal" else Margin(column, "fixed")
        for column in observed
    )
    ranks = rankdata(table, axis=0, nan_policy="omit")
    levels = (ranks - 0.5) / np.maximum((~missing).sum(axis=0), 1)
    correlation = rank_correlation(table)
    freedom = tail_freedom(levels, correlation)
    return NullModel(fitted, unit_loadings(correlation), freedom, missing)


def rank_correlation(table: FloatArray) -> FloatArray:
    """Return sin(pi tau / 2), the correlations of the elliptical law that has these ranks.

    Kendall's tau-b is taken over pairs of rows: all of them, or a fixed even selection if there
    are many. A value that is missing leaves its pairs out. Leaving tied pairs out as well would
    stretch the correlations: pairs far apart, which are the concordant ones, would be left.
    """
    n_rows, n_columns = table.shape
    lags = np.unique(np.linspace(1, n_rows // 2, min(n_rows // 2, N_LAGS)).astype(int))
    concordance = np.zeros((n_columns, n_columns))
    ordered = np.zeros((n_columns, n_columns))  # by the column of the row, both being known
    for lag in lags:
        signs = np.sign(table - np.roll(table, lag, axis=0))
        known = (~np.isnan(signs)).astype(np.float64)
        signs[np.isnan(signs)] = 0.0
        concordance += signs.T @ signs
        ordered += np.abs(signs).T @ known
    # A column without variation counts as uncorrelated.
    tau = concordance / np.sqrt(np.maximum(ordered * ordered.T, 1.0))
    correlation = np.sin(np.pi / 2 * tau)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def tail_freedom(levels: FloatArray, correlation: FloatArray) -> float:
    """Return the degrees of freedom of the t copula that is most likely, infinity for normal.

    The likelihood is that of pairs of columns: it needs neither complete rows nor more rows
    than columns.
    """
    pairs = some_pairs(levels.shape[1])
    if not len(pairs):
        return np.inf
    rho = np.clip(correlation[pairs[:, 0], pairs[:, 1]], -0.99, 0.99)
    positions, inverse = np.unique(levels, return_inverse=True)
    best, greatest = np.inf, -np.inf
    for freedom in (np.inf, *FREEDOMS):
        quantiles = ndtri(positions) if np.isinf(freedom) else stdtrit(freedom, positions)
        scores = quantiles[inverse.reshape(levels.shape)]
        x, y = scores[:, pairs[:, 0]], scores[:, pairs[:, 1]]
        total = float(np.nansum(pair_log_density(x, y, rho, freedom)))
        if total > greatest:
            best, greatest = freedom, total
    return best


def pair_log_density(x: FloatArray, y: FloatArray, rho: FloatArray, freedom: float) -> FloatArray:
    """Return the log density of the t (or normal) copula at quantiles x and y."""
    form = (x * x - 2 * rho * x * y + y * y) / (1 - rho * rho)
    scale = -0.5 * np.log1p(-rho * rho)
    if np.isinf(freedom):
        return scale - 0.5 * (form - x * x - y * y)
    joint = -(freedom / 2 + 1) * np.log1p(form / freedom)
    margins = (freedom + 1) / 2 * (np.log1p(x * x / freedom) + np.log1p(y * y / freedom))
    level = gammaln(freedom / 2 + 1) + gammaln(freedom / 2) - 2 * gammaln((freedom + 1) / 2)
    return level + scale + joint + margins


def some_pairs(n_columns: int) -> IntArray:
    """Return pairs of columns, all of them or a fixed selection in which each has its turn."""
    pairs = [(j, j + lag) for lag in range(1, n_columns) for j in range(n_columns - lag)]
    return np.array(pairs[: max(N_PAIRS, n_columns - 1)], dtype=np.intp).reshape(-1, 2)


def unit_loadings(correlation: FloatArray) -> FloatArray:
    """Return L with rows of unit length such that LL' is the nearest correlation matrix."""
    eigenvalues, eigenvectors = np.linalg.eigh(correlation)
    kept = eigenvalues > 1e-9 * max(eigenvalues[-1], 1.0)
    loadings = eigenvectors[:, kept] * np.sqrt(eigenvalues[kept])
    return loadings / np.linalg.norm(loadings, axis=1, keepdims=True)


def unimodal_margin(column: FloatArray) -> Margin:
    """Return the distribution closest to the sorted `column` with one mode, beside its atoms."""
    support, counts = np.unique(column, return_counts=True)
    n_rows = len(column)
    if len(support) < 3:
        return Margin(column, "steps")
    if 4 * len(support) <= n_rows:
        heights = np.cumsum(counts) / n_rows
        steps = closest_unimodal(heights, np.ones(len(support)), int(counts.argmax()))
        positions = np.searchsorted(np.cumsum(steps), middle_levels(n_rows))
        return Margin(support[np.minimum(positions, len(support) - 1)], "steps")
    atoms = kept_atoms(support, counts)
    apart = np.isin(column, atoms)
    quantiles = np.sort(np.concatenate([unimodal_quantiles(column[~apart]), column[apart]]))
    ends = int(np.ceil(KEPT_EXTREMES * n_rows))
    quantiles[:ends], quantiles[n_rows - ends :] = column[:ends], column[n_rows - ends :]
    return Margin(np.maximum.accumulate(quantiles), "smooth", atoms)


def kept_atoms(support: FloatArray, counts: IntArray) -> FloatArray:
    """Return the values that keep their share of the rows: the ends and the most frequent.

    Only values that many rows share are atoms. One at an end is a bound: values beyond it were
    cut off, or there are none. Of those in between one is kept: several would be humps again.
    """
    many = counts >= max(ATOM_ROWS, ATOM_SHARE * counts.sum())
    places = {0, 1 + int(counts[1:-1].argmax()), len(support) - 1}
    return support[[place for place in sorted(places) if many[place]]]


def unimodal_quantiles(values: FloatArray) -> FloatArray:
    """Return the quantiles of the one-mode distribution closest to that of sorted `values`."""
    support, counts = np.unique(values, return_counts=True)
    if len(support) < 3:
        return values
    heights = (np.cumsum(counts) - counts / 2) / len(values)
    widths = np.diff(support) / (support[-1] - support[0])
    steps = closest_unimodal(heights[1:] - heights[0], widths)
    fitted = np.concatenate([heights[:1], heights[0] + np.cumsum(steps)])
    return np.interp(middle_levels(len(values)), fitted, support)


def middle_levels(n_rows: int) -> FloatArray:
    """Return the levels of the quantiles of a sample."""
    return (np.arange(n_rows) + 0.5) / n_rows


def closest_unimodal(
    heights: FloatArray, widths: FloatArray, candidate_mode: int = 0
) -> FloatArray:
    """Return the increments of the one-mode curve closest to a rising curve.

    The curve starts at 0 and reaches ``heights[i]`` at the end of the interval of width
    ``widths[i]``. One mode means that its slope rises up to some interval and falls from there.
    Where there are too many intervals to try each as the mode, `candidate_mode` is tried too.
    """
    increments = np.diff(heights, prepend=0.0)
    slopes = increments / widths
    best, smallest = increments, np.inf
    modes = np.linspace(0, len(slopes), N_MODES).round().astype(int)
    for mode in np.unique(np.append(modes, candidate_mode)):
        parts = []
        for part, rising in ((slice(0, mode), True), (slice(mode, None), False)):
            if slopes[part].size:
                fit = isotonic_regression(slopes[part], weights=widths[part], increasing=rising)
                parts.append(fit.x * widths[part])
        candidate = np.concatenate(parts)
        gap = float(np.max(np.abs(np.cumsum(candidate) - heights)))
        if gap < smallest - 1e-12:
            best, smallest = candidate, gap
    return best


def like(X: Any, values: FloatArray) -> Any:
    """Return `values` as the kind of table that `X` is."""
    if hasattr(X, "iloc"):
        return pd.DataFrame(values, index=X.index, columns=X.columns)
    if hasattr(X, "column_names"):  # an arrow table
        return type(X).from_arrays([*values.T], names=X.column_names)
    if hasattr(X, "columns"):
        return type(X)({name: values[:, j] for j, name in enumerate(X.columns)})
    dtype = getattr(X, "dtype", None)
    return values.astype(dtype) if dtype in (np.float32, np.float64) else values
