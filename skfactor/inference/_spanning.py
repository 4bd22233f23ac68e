"""Whether assets add anything to those an investor has."""

import numpy as np
from scipy import special

from skfactor._typing import ArrayLike, FloatArray
from skfactor.inference._regression import complete_dates, fitted_model, sample_of
from skfactor.inference._result import HypothesisTest


def spanning_test(benchmark: ArrayLike, returns: ArrayLike) -> HypothesisTest:
    r"""Test that benchmark assets span the mean-variance frontier of more assets.

    The exact F test of Huberman and Kandel (1987), and its two steps of Kan and Zhou (2012):
    first whether alphas are zero (the best Sharpe ratio does not improve), then, given that,
    whether betas add up to one (the least variance does not improve).

    Parameters
    ----------
    benchmark : array-like of shape (n_dates, n_benchmark)
        Returns of the assets that are there.
    returns : array-like of shape (n_dates, n_assets)
        Returns of those that are tested, aligned with the others by date where both carry
        dates.

    Returns
    -------
    HypothesisTest
        With the two steps in ``parts``.

    Raises
    ------
    ValueError
        For too many assets, and for assets that others make up.

    See Also
    --------
    grs_test : The test of the first step, for excess returns.

    Notes
    -----
    In :math:`r = \alpha + B r_b + \varepsilon` the null is :math:`\alpha = 0` and
    :math:`\delta = 1 - B 1 = 0`. Returns are total returns. Of excess returns, whose weights
    need not add up to one, only the first step means anything, and it is the GRS test.

    With :math:`U` the determinant of the residual cross-products without restriction, divided
    by that under the null, T dates, K benchmark assets and N tested ones,

    .. math::

        F = \frac{T - K - N}{N} (U^{-1/2} - 1) \sim F(2N, 2(T - K - N)),

    and for one asset :math:`F = \frac{T - K - 1}{2} (U^{-1} - 1) \sim F(2, T - K - 1)`. The
    steps compare the determinants without restriction, with :math:`\alpha = 0`, and with both,
    as :math:`F(N, T - K - N)` and :math:`F(N, T - K - N + 1)`. All three are exact for normal
    residuals that are independent over time, and the steps are independent of each other.

    References
    ----------
    .. [1] G. Huberman and S. Kandel, "Mean-variance spanning", Journal of Finance 42, 1987.
    .. [2] R. Kan and G. Zhou, "Tests of mean-variance spanning", Annals of Economics and Finance
       13, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.inference import spanning_test
    >>> rng = np.random.default_rng(0)
    >>> benchmark = rng.normal(0.01, 0.04, (240, 2))
    >>> spanned = benchmark @ [[0.3], [0.7]] + rng.normal(0, 0.02, (240, 1))
    >>> test = spanning_test(benchmark, spanned)
    >>> bool(test.p_value > 0.05)
    True
    >>> [part.name for part in test.parts]
    ['Alpha', 'Delta']
    """
    model = fitted_model(benchmark, returns)
    old, new = sample_of(model)
    old, new, notes = complete_dates(old, new, model.asset_names_)
    (n_dates, n_assets), n_old = new.shape, old.shape[1]
    rest = n_dates - n_old - n_assets
    if rest < 1:
        raise ValueError(
            f"The spanning test needs at most {max(n_dates - n_old - 1, 0)} assets, one fewer than "
            f"dates ({n_dates} on which all have returns) less benchmark assets ({n_old}); got "
            f"{n_assets}. Test fewer assets or portfolios of them."
        )
    free, no_alpha, neither = _log_determinants(old, new)
    exact = not notes
    what = f"all {n_assets} assets" if n_assets > 1 else "the asset"

    def step(name: str, null: str, ratio: float, df: tuple[float, float]) -> HypothesisTest:
        statistic = float(np.expm1(ratio) * df[1] / df[0])
        p_value = float(special.fdtrc(*df, statistic))
        return HypothesisTest(name, null, statistic, p_value, "F", df, exact, notes)

    parts = (
        step("Alpha", f"The alphas of {what} are zero.", no_alpha - free, (n_assets, rest)),
        step(
            "Delta",
            f"The betas of {what} add up to one, given alphas of zero.",
            neither - no_alpha,
            (n_assets, rest + 1),
        ),
    )
    if n_assets == 1:
        ratio, df = neither - free, (2, rest)
    else:
        ratio, df = (neither - free) / 2, (2 * n_assets, 2 * rest)
    null = f"The benchmark spans the frontier: of {what} alphas are zero and betas add up to one."
    both = step("Spanning (Huberman and Kandel)", null, ratio, df)
    return HypothesisTest(
        both.name, null, both.statistic, both.p_value, "F", df, exact, notes, parts
    )


def _log_determinants(old: FloatArray, new: FloatArray) -> tuple[float, float, float]:
    """Return log determinants of residual cross-products: free, no alpha, neither."""
    constant = np.ones((len(old), 1))
    # With betas that add up to one, differences from one benchmark asset are regressed on
    # those of the others.
    base = old[:, -1:]
    cases = (
        (np.column_stack([constant, old - old.mean(axis=0)]), new),
        (old, new),
        (old[:, :-1] - base, new - base),
    )
    found = []
    for columns, target in cases:
        basis = np.linalg.qr(columns)[0] if columns.shape[1] else columns
        residuals = target - basis @ (basis.T @ target)
        scale = np.linalg.norm(target, axis=0)
        own = np.abs(np.diag(np.linalg.qr(residuals, mode="r")))
        if (own <= 1e-10 * scale).any():
            raise ValueError(
                "The assets must not be made up of each other and the benchmark; got asset "
                f"number {int(np.argmin(own / scale))}, which is. Leave it out."
            )
        found.append(2.0 * float(np.log(own).sum()))
    return found[0], found[1], found[2]
