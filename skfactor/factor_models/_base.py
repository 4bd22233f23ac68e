"""What all factor models share: betas, factor returns, expected returns, fits and risk."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin

from skfactor._kernels._sections import section_fits
from skfactor._typing import ArrayLike, FloatArray
from skfactor._validation import check_is_fitted, fit_method
from skfactor.exceptions import FitInterrupted
from skfactor.factor_models._align import common_bases
from skfactor.factor_models._own_returns import without_own_return
from skfactor.factor_models._parts import MemberPart, date_blocks
from skfactor.factor_models._premia import PremiaForecast, as_forecast
from skfactor.factor_models._risk import RiskModel, SpecificVariance, risk_of_members
from skfactor.metrics._r2 import total_r2_score
from skfactor.panel._index import date_kind, has_panel_index, show_date
from skfactor.panel._panel import Panel, validate_panel

# Rows on which members are brought to one rotation: more would not turn it.
_ALIGNMENT_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class FactorHistory:
    """Factor returns known so far, of every member.

    Parameters
    ----------
    dates : pandas.Index of shape (n_dates,) or None
        Their dates in rising order; None for one undated cross-section. A date without any
        return to estimate them from is left out.
    values : ndarray of shape (n_members, n_dates, n_factors)
        The factor returns.
    """

    dates: pd.Index | None
    values: FloatArray


class FactorModel(TransformerMixin, RegressorMixin, BaseEstimator, ABC):
    """A model of returns as betas times factor returns, in one or several members.

    A subclass learns in ``_fit_panel``, and says what the betas of one member are
    (``_member_betas``) and what its factor returns are on given betas (``_member_factors``).
    Both are asked for a few dates of a panel at a time, so that what they say of a date must not
    depend on the others; what does is made of ``panel.root``.
    Fits and predictions are means over members; betas and factors, which each member has in
    a rotation of its own, are brought to one rotation before they are averaged.
    """

    # Requested by default, so that users need not call set_fit_request and its kin.
    __metadata_request__fit = {"dates": True, "assets": True}
    __metadata_request__transform = {"dates": True, "assets": True}
    __metadata_request__predict = {"dates": True, "assets": True}
    __metadata_request__score = {"dates": True, "assets": True}

    n_factors: int
    premia: Any
    factor_returns_: pd.DataFrame
    risk_premia_: pd.Series
    factor_names_: list[str]
    dates_: pd.Index | None
    n_features_in_: int
    _history: FactorHistory
    _bases: FloatArray | None
    _specific: SpecificVariance

    # Whether members are identified here, because their own fit leaves a rotation open.
    _rotates = False
    # Whether the factor returns of a date are estimated from the returns they explain.
    _uses_own_returns = True

    @abstractmethod
    def _fit_panel(self, panel: Panel) -> bool:
        """Learn from a panel; return whether the user interrupted it."""

    @abstractmethod
    def _member_betas(self, panel: Panel, member: int) -> FloatArray:
        """Return the betas of the rows, of shape (n_rows, n_factors), in one member."""

    @abstractmethod
    def _member_factors(
        self, panel: Panel, betas: FloatArray, member: int
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return one member's factor returns on the dates of a panel.

        Returns
        -------
        factors : ndarray of shape (n_dates, n_factors)
            Factor returns, in the basis of ``betas`` as ``_member_betas`` returns them.
        leverage : ndarray of shape (n_rows,) or None
            The derivative of each row's fit with respect to its own return, if factor returns
            are estimated from the returns that they explain.
        """

    def _alphas(self, panel: Panel) -> FloatArray | None:
        """Return what the fit of each row owes to no factor, None if there is nothing."""
        return None

    @property
    def _n_members(self) -> int:
        """The number of members."""
        return 1

    @property
    def _n_latent(self) -> int:
        """The number of leading factors whose rotation is open."""
        return self.n_factors

    def _names(self) -> list[str]:
        """Name the factors: latent ones by number, observed ones as their frame does."""
        return [f"factor{k + 1}" for k in range(self.n_factors)]

    @fit_method
    def fit(self, X: ArrayLike, y: ArrayLike, *, dates: Any = None, assets: Any = None) -> Self:
        """Learn betas and factor returns from a panel.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics of each (date, asset) pair, known before the return of the date is
            earned, without gaps.
        y : array-like of shape (n_rows,)
            Excess returns as decimals a period; ``NaN`` where the asset was known and its
            return is missing.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, where neither ``X`` nor ``y`` has a (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        object
            The fitted model.

        Raises
        ------
        ValueError
            For gaps and infinities in ``X``, infinities in ``y``, duplicate (date, asset)
            pairs, indexes of ``X`` and ``y`` that disagree, and parameters that do not suit
            the panel. What was fitted before is kept.
        """
        as_forecast(self.premia)
        panel = validate_panel(self, X, y, dates=dates, assets=assets, reset=True)
        interrupted = self._fit_panel(panel)
        self._bases = None
        self.factor_names_ = self._names()
        self.dates_ = panel.dates
        self._learn_members(panel)
        if interrupted:
            raise FitInterrupted("The fit was interrupted; the model holds its best state so far.")
        return self

    def fit_transform(
        self, X: ArrayLike, y: ArrayLike = None, *, dates: Any = None, assets: Any = None
    ) -> Any:
        """Fit, and return the betas of the same rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics, as in ``fit``.
        y : array-like of shape (n_rows,)
            Excess returns, as in ``fit``.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, as in ``fit``.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, as in ``fit``.

        Returns
        -------
        ndarray or DataFrame of shape (n_rows, n_factors)
            Betas, as ``transform`` returns them.
        """
        return self.fit(X, y, dates=dates, assets=assets).transform(X, dates=dates, assets=assets)

    def _other_columns(self) -> list[int]:
        """Return the positions of columns of ``X`` that are no characteristics."""
        return []

    def transform(self, X: ArrayLike, *, dates: Any = None, assets: Any = None) -> Any:
        """Return the betas of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics, as in ``fit``.
        dates : array-like of shape (n_rows,), default=None
            The date of each row; betas depend on it through the row alone.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, for models whose betas are an asset's own.

        Returns
        -------
        ndarray or DataFrame of shape (n_rows, n_factors)
            Betas on ``factor_names_``, averaged over aligned members. A DataFrame with the
            index of ``X`` where that is a (date, asset) index.
        """
        panel = self._read(X, dates, assets)
        mean = panel.restore(sum(self._all_betas(panel)) / self._n_members)
        if has_panel_index(X):
            return pd.DataFrame(mean, index=X.index, columns=self.factor_names_)
        return mean

    def predict(self, X: ArrayLike, *, dates: Any = None, assets: Any = None) -> Any:
        r"""Return the expected return of each row, its betas times the factors' premia.

        The premia that serve date :math:`t` are forecast from factor returns known before
        :math:`t`: those of ``fit`` and of ``update``. Rows dated later than all of them, and
        rows without a date, take the premia in force, ``risk_premia_``.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics, as in ``fit``.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, where ``X`` has no (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        ndarray or Series of shape (n_rows,)
            Expected excess returns as decimals a period, averaged over members. A Series with
            the index of ``X`` where that is a (date, asset) index.
        """
        panel = self._read(X, dates, assets)
        known = self._known_before(panel)
        total = np.zeros(panel.n_rows)
        for betas, path in zip(self._all_betas(panel), self._paths(), strict=True):
            total += section_fits(betas, path[known], panel.starts)
        return self._series(X, panel.restore(total / self._n_members))

    def update(self, X: ArrayLike, y: ArrayLike, *, dates: Any = None, assets: Any = None) -> Self:
        """Add the factor returns of new dates, so that later premia are forecast from them too.

        Betas stay as they were fitted. Factor returns known already stay as they are, so that
        rows may be handed over twice.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics, as in ``fit``.
        y : array-like of shape (n_rows,)
            Realised excess returns; ``NaN`` where missing.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, where neither ``X`` nor ``y`` has a (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        object
            The model itself.

        Raises
        ------
        ValueError
            If the rows have no dates or the model was fitted without.
        """
        panel = self._read(X, dates, assets, y)
        known = self._history.dates
        if panel.dates is None or known is None:
            raise ValueError(
                "`update` must know on which dates returns were earned; got "
                f"{'rows' if panel.dates is None else 'a model fitted on rows'} without dates. "
                "Give X or y a (date, asset) index, or pass `dates=`."
            )
        self._check_kind(panel.dates)
        values, estimated = self._member_returns(panel)
        new = ~panel.dates.isin(known) & estimated
        merged = known.append(panel.dates[new])
        order = np.argsort(merged, kind="stable")
        together = np.concatenate([self._history.values, values[:, new]], axis=1)
        self._remember(FactorHistory(merged[order], together[:, order]))
        return self

    def factor_returns(
        self, X: ArrayLike, y: ArrayLike, *, dates: Any = None, assets: Any = None
    ) -> pd.DataFrame:
        """Return the factor returns of the dates of a panel.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics, as in ``fit``.
        y : array-like of shape (n_rows,)
            Realised excess returns; ``NaN`` where missing.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, where neither ``X`` nor ``y`` has a (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        DataFrame of shape (n_dates, n_factors)
            Factor returns as decimals a period, averaged over aligned members; ``NaN`` on a
            date without any return to estimate them from.
        """
        panel = self._read(X, dates, assets, y)
        values, estimated = self._member_returns(panel)
        mean = values.mean(axis=0)
        mean[~estimated] = np.nan
        return self._dated(mean, panel.dates)

    def reconstruct(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        leave_one_out: bool = False,
        dates: Any = None,
        assets: Any = None,
    ) -> Any:
        r"""Return the fit of each row: its betas times the factor returns of its date.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics, as in ``fit``.
        y : array-like of shape (n_rows,)
            Realised excess returns; ``NaN`` where missing. A row without a return has a fit
            all the same.
        leave_one_out : bool, default=False
            Fit each row by factor returns estimated without its own return,
            :math:`(\hat r_i - h_i r_i) / (1 - h_i)` with :math:`h_i` its leverage. The same
            as the plain fit where factor returns do not depend on the returns explained.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, where neither ``X`` nor ``y`` has a (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        ndarray or Series of shape (n_rows,)
            Fits, averaged over members. A Series with the index of ``X`` where that is a
            (date, asset) index.
        """
        panel = self._read(X, dates, assets, y)
        return self._series(X, panel.restore(self._fits(panel, leave_one_out)))

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        dates: Any = None,
        assets: Any = None,
    ) -> float:
        r"""Return the total R² of the fits.

        .. math::
            1 - \frac{\sum (r_{it} - \hat r_{it})^2}{\sum r_{it}^2}

        over the observed returns, in the leave-one-out form where factor returns are estimated
        from the returns that they explain: the plain form would then reward every factor
        more, and score about ``n_factors`` divided by the number of assets on pure noise.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Characteristics, as in ``fit``.
        y : array-like of shape (n_rows,)
            Realised excess returns; ``NaN`` where missing.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows in both sums.
        dates : array-like of shape (n_rows,), default=None
            The date of each row, where neither ``X`` nor ``y`` has a (date, asset) index.
        assets : array-like of shape (n_rows,), default=None
            The asset of each row, likewise.

        Returns
        -------
        float
            At most 1; 0 for a model that fits nothing.
        """
        panel = self._read(X, dates, assets, y, sample_weight)
        self._check_gap(panel.dates)
        fits = self._fits(panel, leave_one_out=True)
        return total_r2_score(panel.returns, fits, sample_weight=panel.weights)

    def risk_model(self, X: ArrayLike, *, dates: Any = None, assets: Any = None) -> RiskModel:
        """Return the risk of the assets of one date, in its parts.

        Parameters
        ----------
        X : array-like of shape (n_assets, n_features)
            Characteristics of the assets, all of one date.
        dates : array-like of shape (n_assets,), default=None
            Their date, where ``X`` has no (date, asset) index.
        assets : array-like of shape (n_assets,), default=None
            The assets, likewise.

        Returns
        -------
        RiskModel
            Loadings, factor covariance and specific variance. An asset with fewer than a dozen
            returns in ``fit`` has the specific variance of all assets together.

        Raises
        ------
        ValueError
            For rows of several dates.
        """
        panel = self._read(X, dates, assets)
        if panel.dates is not None and panel.n_dates != 1:
            raise ValueError(
                "Risk is that of the assets of one date; got rows of "
                f"{panel.n_dates} dates, from {show_date(panel.dates[0])} to "
                f"{show_date(panel.dates[-1])}. Select one of them."
            )
        names: pd.Index = pd.RangeIndex(panel.n_rows)
        if panel.assets is not None and panel.asset_codes is not None:
            names = panel.assets[panel.restore(panel.asset_codes)]
        betas = [panel.restore(member) for member in self._all_betas(panel)]
        specific = self._specific.of_assets(None if panel.assets is None else names, panel.n_rows)
        return risk_of_members(
            betas, self._history.values, pd.Series(specific, names), self.factor_names_
        )

    def covariance(self, X: ArrayLike, *, dates: Any = None, assets: Any = None) -> pd.DataFrame:
        r"""Return the covariance of the returns of one date's assets.

        .. math::
            \Sigma = B \Sigma_f B' + D,

        with the betas :math:`B` of the rows, the covariance :math:`\Sigma_f` of the known
        factor returns and the variances :math:`D` of the residuals of ``fit``.

        Parameters
        ----------
        X : array-like of shape (n_assets, n_features)
            Characteristics of the assets, all of one date.
        dates : array-like of shape (n_assets,), default=None
            Their date, where ``X`` has no (date, asset) index.
        assets : array-like of shape (n_assets,), default=None
            The assets, likewise.

        Returns
        -------
        DataFrame of shape (n_assets, n_assets)
            In squared decimal returns a period.
        """
        return self.risk_model(X, dates=dates, assets=assets).covariance()

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the columns of ``transform``: the factors'.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored.

        Returns
        -------
        ndarray of shape (n_factors,)
            Names as objects.
        """
        check_is_fitted(self)
        return np.asarray(self.factor_names_, dtype=object)

    # What follows serves the methods above; "raw" is the basis of a member's own fit.

    def _read(
        self, X: Any, dates: Any, assets: Any, y: Any = None, sample_weight: Any = None
    ) -> Panel:
        check_is_fitted(self)
        return validate_panel(
            self,
            X,
            y,
            dates=dates,
            assets=assets,
            sample_weight=sample_weight,
            reset=False,
            returns="none" if y is None else "optional",
            quiet=y is None,
        )

    def _check_gap(self, dates: pd.Index | None) -> None:
        """Raise if targets of the fit reach into dates that are to be scored."""

    def _all_betas(self, panel: Panel) -> Any:
        """Yield the betas of each member in the common rotation."""
        for member in range(self._n_members):
            raw = self._member_betas(panel, member)
            yield raw if self._bases is None else raw @ self._bases[member]

    def _all_parts(self, panel: Panel) -> Iterator[MemberPart]:
        """Yield what each member says of the panel, a few dates at a time."""
        for member in range(self._n_members):
            for dates in date_blocks(panel.starts):
                part = panel
                if dates != slice(0, panel.n_dates):
                    part = panel.between(dates.start, dates.stop)
                betas = self._member_betas(part, member)
                factors, leverage = self._member_factors(part, betas, member)
                if self._bases is not None:
                    betas = betas @ self._bases[member]
                    factors = np.linalg.solve(self._bases[member], factors.T).T
                rows = slice(int(panel.starts[dates.start]), int(panel.starts[dates.stop]))
                yield MemberPart(member, part, dates, rows, betas, factors, leverage)

    def _member_returns(self, panel: Panel) -> tuple[FloatArray, np.ndarray]:
        """Return the members' factor returns, and which dates had returns to estimate them."""
        values = self._room_for_returns(panel)
        own = False
        for part in self._all_parts(panel):
            values[part.member, part.dates] = part.factors
            own = own or part.leverage is not None
        return values, self._estimated_dates(panel, own)

    def _room_for_returns(self, panel: Panel) -> FloatArray:
        """Return room for the factor returns of each member."""
        return np.empty((self._n_members, panel.n_dates, len(self.factor_names_)))

    def _estimated_dates(self, panel: Panel, own: bool) -> np.ndarray:
        """Return which dates have factor returns, given whether the panel's own make them."""
        return panel.has_returns if own else np.ones(panel.n_dates, dtype=bool)

    def _fits(self, panel: Panel, leave_one_out: bool) -> FloatArray:
        """Average the members' fits, each without its own return if asked."""
        total, alphas = np.zeros(panel.n_rows), self._alphas(panel)
        for part in self._all_parts(panel):
            fit = section_fits(part.betas, part.factors, part.panel.starts)
            if alphas is not None:
                fit += alphas[part.rows]
            if leave_one_out and part.leverage is not None:
                fit = without_own_return(fit, part.panel.returns, part.leverage)
            total[part.rows] += fit
        total /= self._n_members
        return total

    def _learn_members(self, panel: Panel) -> None:
        """Bring members to one rotation, and store factor returns and specific variance."""
        n_sampled = min(panel.n_rows, _ALIGNMENT_ROWS) if self._rotates else 0
        sampled = np.linspace(0, panel.n_rows - 1, n_sampled).astype(np.intp)
        residuals, freedom = panel.returns.copy(), np.ones(panel.n_rows)
        uses_own = False
        values = self._room_for_returns(panel)
        samples = np.empty((self._n_members, n_sampled, values.shape[2]))
        for part in self._all_parts(panel):
            fit = section_fits(part.betas, part.factors, part.panel.starts)
            residuals[part.rows] -= fit / self._n_members
            if part.leverage is not None:
                freedom[part.rows] -= part.leverage / self._n_members
                uses_own = True
            values[part.member, part.dates] = part.factors
            here = slice(*sampled.searchsorted([part.rows.start, part.rows.stop]))
            samples[part.member, here] = part.betas[sampled[here] - part.rows.start]
        if self._rotates and self._n_latent:
            self._bases = self._common_bases(samples, values)
            values = np.linalg.solve(self._bases, values.transpose(0, 2, 1)).transpose(0, 2, 1)
        self._specific = SpecificVariance.of_residuals(
            residuals, freedom, panel.asset_codes, panel.assets
        )
        estimated = self._estimated_dates(panel, uses_own)
        dates = None if panel.dates is None else panel.dates[estimated]
        self._remember(FactorHistory(dates, values[:, estimated]))

    def _common_bases(self, betas: FloatArray, factors: FloatArray) -> FloatArray:
        """Return the change of basis of each member that identifies and aligns it."""
        return common_bases(betas, factors, self._n_latent)

    def _remember(self, history: FactorHistory) -> None:
        """Store factor returns, and the premia that follow from them."""
        self._history = history
        self.factor_returns_ = self._dated(history.values.mean(axis=0), history.dates)
        premia = np.mean([path[-1] for path in self._paths()], axis=0)
        self.risk_premia_ = pd.Series(premia, index=self.factor_names_, name="risk_premium")

    def _paths(self) -> list[FloatArray]:
        """Return the forecast of the premia after each known date, of each member."""
        forecast: PremiaForecast = as_forecast(self.premia)
        return [forecast.path(values) for values in self._history.values]

    def _known_before(self, panel: Panel) -> Any:
        """Return how many factor returns were known before each date."""
        known = self._history.dates
        if panel.dates is None or known is None:
            return np.full(panel.n_dates, self._history.values.shape[1])
        self._check_kind(panel.dates)
        return known.searchsorted(panel.dates, side="left")

    def _check_kind(self, dates: pd.Index) -> None:
        known = self._history.dates
        if known is not None and date_kind(known) != date_kind(dates):
            raise ValueError(
                f"Dates must be of the kind given to fit, {date_kind(known)}; got "
                f"{date_kind(dates)}. Convert one of them."
            )

    def _dated(self, values: FloatArray, dates: pd.Index | None) -> pd.DataFrame:
        index = pd.RangeIndex(len(values)) if dates is None else dates.rename("date")
        return pd.DataFrame(values, index=index, columns=self.factor_names_)

    @staticmethod
    def _series(X: Any, values: FloatArray) -> Any:
        return pd.Series(values, index=X.index) if has_panel_index(X) else values
