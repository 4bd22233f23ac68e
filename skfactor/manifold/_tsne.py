"""The t-SNE estimator: checks, calls and keeps; the computations are in ``_layout``."""

import warnings
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags

from skfactor._typing import ArrayLike, FloatArray, RandomState
from skfactor._validation import (
    Interval,
    StrOptions,
    check_array,
    check_is_fitted,
    draw_seed,
    fit_method,
    validate_table,
)
from skfactor.exceptions import PerplexityWarning
from skfactor.manifold import _layout


def _generator(random_state: RandomState | np.random.Generator) -> np.random.Generator:
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng(draw_seed(random_state))


class TSNEEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Map rows by t-SNE into one, two or three dimensions, unseen rows included.

    Unlike :class:`sklearn.manifold.TSNE` this map has a ``transform``, so that it stands in
    the middle of a :class:`~sklearn.pipeline.Pipeline`. Rows seen in ``fit`` get their own
    place back; an unseen row is placed among them, whatever other rows come with it, and
    moves nothing.

    Parameters
    ----------
    n_components : int, default=2
        Number of dimensions of the map: 1, 2 or 3.
    perplexity : float, default=30.0
        Effective number of neighbours of a row, at least 1. With few rows it is reduced to
        a third of the other rows, and a :class:`~skfactor.exceptions.PerplexityWarning`
        names both values.
    learning_rate : float or "auto", default="auto"
        Step of the descent. ``"auto"`` takes the number of rows divided by the exaggeration.
    max_iter : int, default=1000
        Number of iterations. The first third of them, at most 250, exaggerate the
        affinities twelvefold; the last 150, at most a fifth of the rest, sum the forces
        more finely.
    init : str or array-like of shape (n_samples, n_components), default="pca"
        Places to start from: ``"pca"``, ``"random"``, ``"spectral"`` or an array of them.
        They are brought to a standard deviation of 1e-4 along the widest axis, and given a
        little noise.
    metric : str, default="euclidean"
        Distance between rows: ``"euclidean"``, ``"cosine"``, ``"correlation"``,
        ``"manhattan"`` or ``"chebyshev"``. Neighbours are searched exactly.
    n_jobs : int or None, default=None
        Number of threads. ``None`` means 1 and -1 all processors. The map does not depend
        on it.
    random_state : int, RandomState or Generator instance, or None, default=None
        Seed of the start's noise. Two fits with the same integer are equal.
    verbose : int, default=0
        If positive, print the divergence every fifty iterations and at the end.

    Attributes
    ----------
    embedding_ : ndarray of shape (n_samples, n_components)
        The places of the rows given to ``fit``. Equal rows share one place.
    kl_divergence_ : float
        Kullback-Leibler divergence between the affinities of the rows and those of the
        places where the descent ended, in nats. Its normalising constant is estimated by
        the Barnes-Hut tree, or by the FFT from 10,000 rows on in one or two dimensions.
    n_iter_ : int
        Number of iterations run.
    perplexity_ : float
        The perplexity used.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during ``fit``, where ``X`` has names that are all strings.

    See Also
    --------
    skfactor.decomposition.AutoencoderReducer : A reduction to make before the map.
    sklearn.manifold.TSNE : The map of the training rows alone.

    Notes
    -----
    With the probability that row :math:`i` picks row :math:`j` as its neighbour

    .. math::
        p_{j|i} = \frac{\exp(-d_{ij}^2 / 2 \sigma_i^2)}
        {\sum_{k \neq i} \exp(-d_{ik}^2 / 2 \sigma_i^2)},
        \qquad p_{ij} = \frac{p_{j|i} + p_{i|j}}{2 n},

    where :math:`\sigma_i` gives :math:`p_{\cdot|i}` the wanted perplexity, the places
    :math:`y` minimise

    .. math::
        \mathrm{KL}(P \| Q) = \sum_{i \neq j} p_{ij} \log \frac{p_{ij}}{q_{ij}},
        \qquad q_{ij} = \frac{(1 + \|y_i - y_j\|^2)^{-1}}
        {\sum_{k \neq l} (1 + \|y_k - y_l\|^2)^{-1}}.

    Each sum over :math:`p_{j|i}` runs over the three times ``perplexity`` nearest
    neighbours. The descent is openTSNE's: Barnes-Hut, and FFT interpolation from 10,000 rows
    on in one or two dimensions. An unseen row starts at the median place of its ten nearest
    neighbours and takes 100 steps down its own divergence from the fitted rows.

    ``transform`` takes a row for one seen in ``fit`` when no column differs by more than
    about a millionth of that column's range in ``fit``: a network that encodes the same row
    in another batch, or in single precision, may change its last bits. Rows equal to the
    last bit share the mean of their places.

    A distance in the map says little about a distance between rows, and a map shows groups
    even where there are none: judge a clustering in the space of the rows. A change in the
    last bits of ``X`` can lead to another map of the same quality.

    The time of the neighbour search grows with the square of the number of rows once these
    have more than about 15 columns.

    References
    ----------
    .. [1] L. van der Maaten and G. Hinton, "Visualizing data using t-SNE", Journal of
       Machine Learning Research 9, 2008.
    .. [2] P. G. Poličar, M. Stražar and B. Zupan, "openTSNE: A modular Python library for
       t-SNE dimensionality reduction and embedding", Journal of Statistical Software 109,
       2024.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skfactor.manifold import TSNEEmbedder
    >>> X, group = make_blobs(100, 5, centers=2, random_state=0)
    >>> embedder = TSNEEmbedder(perplexity=10, max_iter=300, random_state=0)
    >>> embedder.fit_transform(X[:90]).shape
    (90, 2)
    >>> embedder.transform(X[90:]).shape
    (10, 2)
    >>> embedder.trustworthiness() > 0.9
    True
    """

    embedding_: FloatArray
    kl_divergence_: float
    n_iter_: int
    perplexity_: float
    n_features_in_: int
    _n_features_out: int
    _fit_X: FloatArray

    _parameter_constraints: dict[str, list[Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "perplexity": [Interval(Real, 1, None, closed="left")],
        "learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"pca", "random", "spectral"}), "array-like"],
        "metric": [StrOptions(set(_layout.SEARCH_METRIC))],
        "n_jobs": [
            None,
            Interval(Integral, None, -1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "random_state": ["random_state", np.random.Generator],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexity: float = 30.0,
        learning_rate: float | Literal["auto"] = "auto",
        max_iter: int = 1000,
        init: Literal["pca", "random", "spectral"] | ArrayLike = "pca",
        metric: str = "euclidean",
        n_jobs: int | None = None,
        random_state: RandomState | np.random.Generator = None,
        verbose: int | bool = 0,
    ) -> None:
        self.n_components = n_components
        self.perplexity = perplexity
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.init = init
        self.metric = metric
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_method
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Map the rows of ``X``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to map, at least three and not all equal. Scale the columns first: the
            largest rule the distances.
        y : None
            Ignored.

        Returns
        -------
        TSNEEmbedder
            The fitted embedder.

        Raises
        ------
        ValueError
            If ``n_components`` is above 3, all rows are equal, ``init`` has another shape
            than the map, or a row has no direction where ``metric`` needs one.
        """
        # The order in memory changes the last bits of the start, and so the map.
        X = validate_table(self, X, reset=True, order="C", ensure_min_samples=3, copy=True)
        if self.n_components > 3:
            raise ValueError(
                f"`n_components` must be 1, 2 or 3; got {self.n_components}. t-SNE makes "
                "maps: for more dimensions use PCA or AutoencoderReducer."
            )
        rows = _layout.comparable_rows(X, self.metric)
        if _layout.all_rows_equal(rows):
            raise ValueError(
                f"At least two rows of X must differ; got {len(X)} rows that are all equal "
                f"(metric={self.metric!r}). Look for a step before that makes every column "
                "constant."
            )
        if not _layout.LEAST_RANGE < np.ptp(rows, axis=0).max() < _layout.LARGEST_RANGE:
            raise ValueError(
                f"The widest column of X must range over {_layout.LEAST_RANGE:g} to "
                f"{_layout.LARGEST_RANGE:g}, or squared distances leave the range of floats; "
                f"got {np.ptp(rows, axis=0).max():.3g}. Scale the columns."
            )
        init = self._checked_init(len(X))
        perplexity = self._usable_perplexity(len(X))
        n_jobs = self._n_threads()
        affinities = _layout.neighbour_affinities(rows, self.metric, perplexity, n_jobs)
        start = _layout.start_layout(
            rows, affinities, self.n_components, init, _generator(self.random_state)
        )
        layout, divergence = _layout.optimise_layout(
            start,
            affinities,
            learning_rate=self.learning_rate,
            max_iter=self.max_iter,
            n_jobs=n_jobs,
            report=self._report if self.verbose else None,
        )
        if not np.isfinite(layout).all():
            raise ValueError(
                "The descent of t-SNE must end in finite places; got places that are not "
                f"(learning_rate={self.learning_rate!r}, columns ranging up to "
                f"{np.ptp(rows, axis=0).max():.3g}). Scale the columns or use "
                "learning_rate='auto'."
            )
        self.embedding_ = _layout.share_places(layout, X).astype(X.dtype)
        self.kl_divergence_ = divergence
        self.n_iter_ = int(self.max_iter)
        self.perplexity_ = perplexity
        self._fit_X = X
        self._n_features_out = int(self.n_components)
        return self

    def fit_transform(self, X: ArrayLike, y: None = None) -> FloatArray:
        """Map the rows of ``X`` and return their places.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to map, at least three and not all equal.
        y : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            A copy of ``embedding_``, as ``transform(X)`` would return.
        """
        return self.fit(X).embedding_.copy()

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the places of rows: their own if seen in ``fit``, else one found for them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to place.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            The places. The place of a row does not depend on the other rows of ``X``.

        Raises
        ------
        ValueError
            If a row is too far from the fitted ones for its distance to be a number, or has
            no direction where ``metric`` needs one.
        """
        check_is_fitted(self)
        return self._places(validate_table(self, X, reset=False, order="C"))

    def trustworthiness(
        self,
        X: ArrayLike | None = None,
        *,
        n_neighbors: int = 5,
        sample_size: int | None = 1000,
        random_state: RandomState | np.random.Generator = None,
    ) -> float:
        r"""Tell how far neighbours in the map are neighbours among the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or None, default=None
            Rows to judge the map of; ``None`` takes those given to ``fit``.
        n_neighbors : int, default=5
            Number of neighbours in the map, less than half the number of rows.
        sample_size : int or None, default=1000
            Number of rows, drawn without replacement, whose neighbours are looked at; these
            are searched among all rows. ``None`` looks at every row.
        random_state : int, RandomState or Generator instance, or None, default=None
            Seed of the sample.

        Returns
        -------
        float
            The trustworthiness, between 0 and 1 (no stranger near a row of the map). With a
            sample it is an unbiased estimate.

        Raises
        ------
        ValueError
            If ``n_neighbors`` or ``sample_size`` is out of range.

        Notes
        -----
        With :math:`r(i, j)` the rank of :math:`j` among the neighbours of row :math:`i`, and
        :math:`N_i^k` its :math:`k` nearest neighbours in the map,

        .. math::
            T(k) = 1 - \frac{2}{n k (2n - 3k - 1)} \sum_{i=1}^n \sum_{j \in N_i^k}
            \max(0, r(i, j) - k).

        References
        ----------
        .. [1] J. Venna and S. Kaski, "Neighborhood preservation in nonlinear projection
           methods: an experimental study", ICANN 2001.
        """
        check_is_fitted(self)
        if X is None:
            X, places = self._fit_X, self.embedding_
        else:
            X = validate_table(self, X, reset=False, order="C")
            places = self._places(X)
        n_rows = len(X)
        if not 1 <= n_neighbors < n_rows / 2:
            raise ValueError(
                f"`n_neighbors` must be at least 1 and less than half the rows; got "
                f"{n_neighbors} (n_samples={n_rows})."
            )
        if sample_size is not None and sample_size < 1:
            raise ValueError(f"`sample_size` must be at least 1 or None; got {sample_size}.")
        sample = np.arange(n_rows)
        if sample_size is not None and sample_size < n_rows:
            sample = _generator(random_state).choice(n_rows, sample_size, replace=False)
        return _layout.trustworthiness_score(
            _layout.comparable_rows(X, self.metric),
            places.astype(np.float64),
            self.metric,
            n_neighbors,
            sample,
        )

    def _places(self, X: FloatArray) -> FloatArray:
        """Look up the rows that were fitted and place the others."""
        new = np.asarray(X, dtype=np.float64)
        known = np.asarray(self._fit_X, dtype=np.float64)
        position = _layout.find_rows(new, known)
        places = self.embedding_[position].astype(np.float64)
        unseen = position < 0
        if unseen.any():
            places[unseen] = _layout.place_rows(
                _layout.comparable_rows(new[unseen], self.metric),
                _layout.comparable_rows(known, self.metric),
                self.embedding_.astype(np.float64),
                self.metric,
                self.perplexity_,
                self._n_threads(),
            )
        lost = np.flatnonzero(~np.isfinite(places).all(axis=1))
        if lost.size:
            raise ValueError(
                "Rows must be within reach of the fitted ones for t-SNE to place them; got "
                f"{lost.size} row(s) at distances that overflow, the first at position(s) "
                f"{lost[:5].tolist()}. Drop them or trim outliers before."
            )
        return places.astype(X.dtype)

    def _checked_init(self, n_rows: int) -> Any:
        """Return ``init``, an array of places checked against the shape of the map."""
        if isinstance(self.init, str):
            return self.init
        init = check_array(self.init, dtype=np.float64, estimator=self, input_name="init")
        if init.shape != (n_rows, self.n_components):
            raise ValueError(
                "`init` must have the shape of the map, (n_samples, n_components) = "
                f"{(n_rows, self.n_components)}; got {init.shape}."
            )
        if np.ptp(init, axis=0).max() == 0:
            raise ValueError("The places of `init` must differ; got one place for all rows.")
        return init

    def _usable_perplexity(self, n_rows: int) -> float:
        """Return the perplexity that the rows allow, with a warning if it is reduced."""
        perplexity = _layout.usable_perplexity(self.perplexity, n_rows)
        if perplexity < self.perplexity:
            warnings.warn(
                f"`perplexity` must be at most a third of the other rows; got "
                f"{self.perplexity:g} (n_samples={n_rows}), using {perplexity:g}. Set "
                f"perplexity={perplexity:g} or less, or give more rows.",
                PerplexityWarning,
                stacklevel=2,
            )
        return perplexity

    def _n_threads(self) -> int:
        return 1 if self.n_jobs is None else int(effective_n_jobs(self.n_jobs))

    def _report(self, iteration: int, divergence: float) -> None:
        print(f"t-SNE iteration {iteration} of {self.max_iter}: KL divergence {divergence:.4f}")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
