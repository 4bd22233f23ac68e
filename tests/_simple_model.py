"""A small factor model and panels with known answers, for tests of what is built on models."""

import numpy as np
import pandas as pd

from skfactor._kernels._sections import section_least_squares
from skfactor.factor_models._ensemble import EnsembleFactorModel


class SimpleModel(EnsembleFactorModel):
    """Betas are given weights times characteristics; factors by least squares, or managed.

    The weights of member m are those of member 0, turned and perturbed by a seed.
    """

    _parameter_constraints: dict = {}

    def __init__(self, n_factors=1, n_members=1, own=True, noise=0.0, premia="expanding"):
        self.n_factors = n_factors
        self.n_members = n_members
        self.own = own
        self.noise = noise
        self.premia = premia

    @property
    def _n_members(self):
        return self.n_members

    @property
    def _uses_own_returns(self):
        return self.own

    def _fit_panel(self, panel):
        gamma = np.eye(panel.X.shape[1], self.n_factors)
        self._gammas = []
        for member in range(self.n_members):
            rng = np.random.default_rng(member)
            turn = np.linalg.qr(rng.normal(size=(self.n_factors,) * 2))[0] if member else 1.0
            moved = gamma + self.noise * rng.normal(size=gamma.shape)
            self._gammas.append(moved @ turn if member else moved)
        return False

    def _member_betas(self, panel, member):
        return panel.X @ self._gammas[member]

    def _member_factors(self, panel, betas, member):
        factors, leverage = section_least_squares(betas, panel.returns, panel.starts)
        if self.own:
            return factors, leverage
        return factors * 0.0 + 0.01, None


def make_panel(n_dates=24, n_assets=40, n_features=3, *, noise=0.02, seed=0, missing=0.0):
    """Return characteristics and returns with one factor on the first characteristic."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2015-01-31", periods=n_dates, freq="ME")
    index = pd.MultiIndex.from_product(
        [dates, [f"A{i:03d}" for i in range(n_assets)]], names=["date", "asset"]
    )
    names = [f"c{j}" for j in range(n_features)]
    X = pd.DataFrame(rng.uniform(-1, 1, (len(index), n_features)), index, names)
    factor = np.repeat(rng.normal(0.02, 0.05, n_dates), n_assets)
    y = pd.Series(X["c0"] * factor + rng.normal(0, noise, len(index)), index, name="ret")
    if missing:
        y[rng.random(len(y)) < missing] = np.nan
    return X, y


def noise_panel(n_dates=60, n_assets=50, n_features=3, seed=0):
    """Return characteristics and returns that have nothing to do with them."""
    X, y = make_panel(n_dates, n_assets, n_features, seed=seed)
    y[:] = np.random.default_rng(seed + 1).normal(0, 0.05, len(y))
    return X, y
