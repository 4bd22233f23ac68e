"""Factor models beside each other: what each leaves unexplained, and what more factors add."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from skfactor._typing import ArrayLike, FloatArray
from skfactor.inference._grs import grs_statistic
from skfactor.inference._joint_alpha import joint_alpha_test
from skfactor.inference._regression import complete_dates, estimate_alphas, sample_of
from skfactor.linear_model._fama_french import FamaFrenchRegressor


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """Factor models on the same assets and dates.

    Parameters
    ----------
    models : pandas.DataFrame
        One row for each model. ``n_factors``; ``mean_abs_alpha``, ``mean_abs_t_value`` and
        ``mean_rsquared_adj`` over assets; ``sharpe2``, the squared Sharpe ratio a period of the
        best portfolio of the factors; ``sharpe2_unbiased``, the same less its bias; ``grs``
        and ``grs_p_value``, ``NaN`` for too many assets; ``joint_alpha`` and
        ``joint_alpha_p_value``.
    nested : pandas.DataFrame
        One row for each pair of which the ``smaller`` model's factors are among those of the
        ``larger``: ``sharpe2_gain``, and ``statistic`` and ``p_value`` of the GRS test of the
        further factors on the smaller model.

    Attributes
    ----------
    null : str
        The null hypothesis of ``nested`` in words.

    Examples
    --------
    >>> import numpy as np
    >>> from skfactor.inference import compare_models
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(0.005, 0.04, (240, 2))
    >>> returns = factors @ rng.normal(size=(2, 5)) + rng.normal(0, 0.03, (240, 5))
    >>> compare_models(factors, returns, {"one": [0], "two": [0, 1]}).nested.columns.to_list()
    ['smaller', 'larger', 'sharpe2_gain', 'statistic', 'p_value']
    """

    models: pd.DataFrame
    nested: pd.DataFrame
    null: ClassVar[str] = (
        "The larger model's further factors have no alpha on the smaller model: both have the "
        "same best Sharpe ratio."
    )

    def __repr__(self) -> str:
        """Return both tables."""
        models = self.models.T.to_string(float_format="{:.4g}".format)
        nested = self.nested.to_string(index=False, float_format="{:.4g}".format)
        return f"{models}\n\nNull: {self.null}\n{nested}"


def compare_models(
    factors: ArrayLike, returns: ArrayLike, models: Mapping[str, Any] | Sequence[str]
) -> ModelComparison:
    r"""Compare factor models by alphas, R² and the Sharpe ratios of their factors.

    Parameters
    ----------
    factors : array-like of shape (n_dates, n_factors)
        Traded factors, of all models.
    returns : array-like of shape (n_dates, n_assets)
        Excess returns of test assets, ``NaN`` where there is none; aligned with the factors by
        date where both carry dates.
    models : dict or sequence of str
        What the models are called, and which factors they have, as
        :class:`~skfactor.linear_model.FamaFrenchRegressor` takes them: ``{"ff3": "ff3",
        "ff3+LIQ": ["ff3", "LIQ"]}``. A sequence holds names of models or columns.

    Returns
    -------
    ModelComparison
        A table of the models, and one of pairs that are nested.

    Raises
    ------
    ValueError
        For no models, and for factors that are missing or not independent.

    See Also
    --------
    grs_test : The test of each model.

    Notes
    -----
    Of models with traded factors the better one is that whose factors have the higher squared
    Sharpe ratio, whatever the test assets (Barillas and Shanken 2017):

    .. math::

        \bar f' \hat\Omega^{-1} \bar f, \qquad
        \text{unbiased: } \frac{T - K - 2}{T} \bar f' \hat\Omega^{-1} \bar f - \frac{K}{T},

    with covariances divided by T; the second is unbiased for normal factors. The larger of two
    nested models never has the lower ratio in the sample. Whether it has the higher one in
    truth is the GRS test of its further factors on the smaller model, exact for normal
    residuals.

    References
    ----------
    .. [1] F. Barillas and J. Shanken, "Which alpha?", Review of Financial Studies 30, 2017.
    .. [2] F. Barillas, R. Kan, C. Robotti and J. Shanken, "Model comparison with Sharpe ratios",
       Journal of Financial and Quantitative Analysis 55, 2020.

    Examples
    --------
    >>> from skfactor.datasets import make_stock_universe
    >>> from skfactor.inference import compare_models
    >>> universe = make_stock_universe(n_assets=20, random_state=0)
    >>> excess = universe.returns.sub(universe.factors["RF"], axis=0)
    >>> compared = compare_models(
    ...     universe.factors, excess, {"capm": "capm", "ff3": "ff3", "all": ["ff3", "LIQ"]}
    ... )
    >>> compared.models["n_factors"].to_dict()
    {'capm': 1, 'ff3': 3, 'all': 4}
    >>> compared.nested[["smaller", "larger"]].to_numpy().tolist()
    [['capm', 'ff3'], ['capm', 'all'], ['ff3', 'all']]
    """
    named = dict(models) if isinstance(models, Mapping) else {name: name for name in models}
    if not named:
        raise ValueError("`models` must name at least one model; got none.")
    fitted = {
        name: FamaFrenchRegressor(choice).fit(factors, returns) for name, choice in named.items()
    }
    rows = {name: _describe(model) for name, model in fitted.items()}
    pairs = []
    for one, other in itertools.permutations(fitted, 2):
        smaller, larger = _positions(fitted[one]), _positions(fitted[other])
        if set(smaller) < set(larger):
            base = sample_of(fitted[one])[0]
            every = sample_of(fitted[other])[0]
            more = every[:, [i for i, place in enumerate(larger) if place not in smaller]]
            statistic, p_value, _ = grs_statistic(base, more)
            gain = rows[other]["sharpe2"] - rows[one]["sharpe2"]
            pairs.append((one, other, gain, statistic, p_value))
    table = pd.DataFrame.from_dict(rows, orient="index")
    table["n_factors"] = table["n_factors"].astype(int)
    columns = ["smaller", "larger", "sharpe2_gain", "statistic", "p_value"]
    return ModelComparison(table, pd.DataFrame(pairs, columns=columns))


def _positions(model: FamaFrenchRegressor) -> list[int]:
    """Return which columns of ``factors`` a model has kept."""
    return [int(i) for i in model._columns.factors[model._training.kept]]


def _describe(model: FamaFrenchRegressor) -> dict[str, float]:
    """Return the figures of one model."""
    used, excess = sample_of(model)
    n_dates, n_factors = used.shape
    sharpe2 = estimate_alphas(used, np.zeros((n_dates, 1))).sharpe2
    grs: tuple[float, float] = (np.nan, np.nan)
    complete: FloatArray
    with_all, complete, _ = complete_dates(used, excess, model.asset_names_)
    if complete.shape[1] <= len(complete) - n_factors - 1:
        grs = grs_statistic(with_all, complete)[:2]
    joint: tuple[float, float] = (np.nan, np.nan)
    if excess.shape[1] > 1:
        test = joint_alpha_test(model)
        joint = (test.statistic, test.p_value)
    return {
        "n_factors": n_factors,
        "mean_abs_alpha": float(np.nanmean(np.abs(model.intercept_))),
        "mean_abs_t_value": float(np.nanmean(np.abs(model.tvalues_[:, 0]))),
        "mean_rsquared_adj": float(np.nanmean(model.rsquared_adj_)),
        "sharpe2": sharpe2,
        "sharpe2_unbiased": (n_dates - n_factors - 2) / n_dates * sharpe2 - n_factors / n_dates,
        "grs": grs[0],
        "grs_p_value": grs[1],
        "joint_alpha": joint[0],
        "joint_alpha_p_value": joint[1],
    }
