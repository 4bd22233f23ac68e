"""Labels for new rows from clusterers that only label the rows they were fitted on."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, MetaEstimatorMixin, clone
from sklearn.cluster import AgglomerativeClustering
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import get_tags

from skfactor._typing import ArrayLike, IntArray
from skfactor._validation import HasMethods, check_array, check_is_fitted, fit_method, validate_data
from skfactor.cluster._rows import take_rows
from skfactor.metrics._assignments import is_pairwise


class InductiveClusterer(MetaEstimatorMixin, ClusterMixin, BaseEstimator):
    """Cluster rows, and spread the clusters to new rows by a classifier.

    Spectral and agglomerative clustering, DBSCAN and their kin label the rows they are fitted on
    and have no ``predict``. Here a classifier learns their labels and gives new rows a cluster,
    so that rows can be held out: ``KFold`` and every other splitter work.

    Parameters
    ----------
    clusterer : estimator, default=None
        A clusterer, or a pipeline that ends in one, with ``fit_predict``. ``None`` stands for
        :class:`~sklearn.cluster.AgglomerativeClustering` with its defaults. It is cloned.
    classifier : estimator, default=None
        A classifier with ``fit`` and ``predict``. ``None`` stands for
        :class:`~sklearn.neighbors.KNeighborsClassifier` on the five nearest rows (fewer if there
        are fewer). It is cloned.

    Attributes
    ----------
    clusterer_ : estimator
        The fitted clusterer.
    classifier_ : estimator
        The fitted classifier; where the clusterer found fewer than two clusters, one that always
        gives the same answer.
    labels_ : ndarray of shape (n_samples,)
        The clusterer's labels of the rows it was fitted on, noise below zero.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names seen in `fit`, where `X` has string names.

    See Also
    --------
    skfactor.model_selection.FullSample : Scores the fitted rows where none are held out.

    Notes
    -----
    ``labels_`` and ``fit_predict`` are the clusterer's word on the rows that were fitted;
    ``predict`` is the classifier's word on any rows, the fitted ones included. The two can
    differ where clusters touch, and on noise: noise (a negative label) is not a group of rows
    that resemble each other, so it is never learnt, and ``predict`` gives every row a cluster. If
    every row is noise, so is every prediction.

    The classifier measures distance in the columns that it is given. Behind scaling or an
    embedding, put ``InductiveClusterer`` last in the pipeline rather than around it.

    Examples
    --------
    >>> from sklearn.cluster import SpectralClustering
    >>> from sklearn.datasets import make_blobs
    >>> from skfactor.cluster import InductiveClusterer
    >>> X, _ = make_blobs(n_samples=60, centers=3, random_state=1)
    >>> model = InductiveClusterer(SpectralClustering(3, random_state=0)).fit(X[:50])
    >>> model.predict(X[50:]).shape
    (10,)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "clusterer": [HasMethods(["fit", "fit_predict"]), None],
        "classifier": [HasMethods(["fit", "predict"]), None],
    }

    clusterer_: Any
    classifier_: Any
    labels_: IntArray
    n_features_in_: int

    def __init__(self, clusterer: Any = None, classifier: Any = None) -> None:
        self.clusterer = clusterer
        self.classifier = classifier

    @fit_method
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Cluster the rows of `X` and learn to tell the clusters apart.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows. They are handed to `clusterer` and `classifier` as they are, so what may
            be in them (missing values, text, sparse storage) is up to those two.
        y : object, default=None
            Ignored.

        Returns
        -------
        InductiveClusterer
            The fitted estimator.

        Raises
        ------
        ValueError
            If the clusterer takes a precomputed matrix.
        """
        self._check_columns(X, reset=True)
        clusterer = self._new_clusterer()
        if is_pairwise(clusterer):
            raise ValueError(
                "`clusterer` must cluster points; got one that takes a precomputed matrix, whose "
                "columns are the rows of `fit` and not features of a new row. Put the step that "
                "computes the matrix in front of it, in a pipeline."
            )
        labels = np.asarray(clusterer.fit_predict(X))
        self.clusterer_ = clusterer
        self.classifier_ = self._fit_classifier(X, labels)
        self.labels_ = labels
        return self

    def predict(self, X: ArrayLike) -> IntArray:
        """Give each row of `X` the cluster that the classifier finds most likely.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, with the columns seen in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            A cluster for each row.
        """
        check_is_fitted(self)
        self._check_columns(X, reset=False)
        return np.asarray(self.classifier_.predict(X))

    def _check_columns(self, X: ArrayLike, *, reset: bool) -> None:
        if np.ndim(X) == 1:
            check_array(X)  # raises, and says how to reshape
        # The values are checked by the parts, each of which knows what it can take.
        validate_data(self, X, reset=reset, skip_check_array=True)

    def _new_clusterer(self) -> Any:
        return AgglomerativeClustering() if self.clusterer is None else clone(self.clusterer)

    def _fit_classifier(self, X: ArrayLike, labels: IntArray) -> Any:
        clustered = np.flatnonzero(labels >= 0)
        if len(clustered) == 0:
            labels = np.full(len(labels), -1)
            clustered = np.arange(len(labels))
        if self.classifier is None:
            classifier = KNeighborsClassifier(n_neighbors=min(5, len(clustered)))
        elif len(np.unique(labels[clustered])) == 1:
            # Many classifiers refuse a single class; there is nothing to tell apart anyway.
            classifier = DummyClassifier(strategy="most_frequent")
        else:
            classifier = clone(self.classifier)
        rows = X if len(clustered) == len(labels) else take_rows(X, clustered)
        return classifier.fit(rows, labels[clustered])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        parts = [self.clusterer, self.classifier]
        defaults = [AgglomerativeClustering(), KNeighborsClassifier()]
        inner = [get_tags(p if p is not None else d) for p, d in zip(parts, defaults, strict=True)]
        tags.input_tags.allow_nan = all(t.input_tags.allow_nan for t in inner)
        tags.input_tags.sparse = all(t.input_tags.sparse for t in inner)
        return tags
