"""The whole sample as its own test set."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from skfactor._typing import IntArray


class FullSample:
    """Split once: every row is in the training set and in the test set.

    For tools that insist on a splitter (``GridSearchCV``, ``cross_validate``) where there is
    nothing to hold out: a clusterer without ``predict`` (spectral, agglomerative, DBSCAN) has
    labels for the rows it was fitted on and for no others.

    See Also
    --------
    skfactor.cluster.InductiveClusterer : Labels new rows, so that rows can be held out.
    skfactor.cluster.null_reference : The same score where there are no clusters.

    Notes
    -----
    **When this is honest.** The score describes the sample at hand: these stocks, in these
    groups. An index such as the silhouette uses no truth that could leak, and comparing settings
    that all solve the same task (a number of clusters, a linkage) on the same rows is fair.

    **When it is not.** As a claim about rows not yet seen; for anything that learns from a target;
    for a score in a space that was itself fitted to these rows, which a more flexible map can
    always improve; and as evidence that there are clusters at all, since every clusterer finds
    groups in noise. Hold rows out with :class:`~skfactor.cluster.InductiveClusterer` for the
    first, and compare with :func:`~skfactor.cluster.null_reference` for the last.

    Examples
    --------
    >>> from sklearn.cluster import AgglomerativeClustering
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skfactor.metrics import silhouette_scorer
    >>> from skfactor.model_selection import FullSample
    >>> X, _ = make_blobs(n_samples=60, centers=3, random_state=3)
    >>> search = GridSearchCV(
    ...     AgglomerativeClustering(),
    ...     {"n_clusters": [2, 3, 4]},
    ...     scoring=silhouette_scorer,
    ...     cv=FullSample(),
    ... )
    >>> search.fit(X).best_params_
    {'n_clusters': 3}
    """

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield the positions of all rows, as training and as test set.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows; only their number matters.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored.

        Yields
        ------
        train : ndarray of shape (n_samples,)
            The positions 0, 1, ..., n_samples - 1.
        test : ndarray of shape (n_samples,)
            The same, in an array of its own.
        """
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if n_rows == 0:
            raise ValueError("`X` must have at least one row to split; got 0 rows.")
        yield np.arange(n_rows), np.arange(n_rows)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits, which is one.

        Parameters
        ----------
        X : object, default=None
            Ignored.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored.

        Returns
        -------
        int
            One.
        """
        return 1

    def __repr__(self) -> str:
        return "FullSample()"
