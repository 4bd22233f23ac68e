"""Warnings and errors of skfactor, each a subclass of what scikit-learn users catch already."""

__all__ = [
    "ClusteringScoreWarning",
    "FitInterrupted",
    "ImputationWarning",
    "MissingDatesWarning",
    "PerplexityWarning",
]


class MissingDatesWarning(UserWarning):
    """Nothing said which date a row belongs to; all rows were taken as one cross-section.

    Give ``dates=``, or a frame with a (date, asset) index. Where one cross-section is what is
    meant, as in ``PanelImputer(cross_section=True)``, say so.

    Examples
    --------
    >>> import warnings
    >>> from skfactor.exceptions import MissingDatesWarning
    >>> from skfactor.preprocessing import CrossSectionalScaler
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", MissingDatesWarning)
    ...     CrossSectionalScaler().fit([[1.0], [2.0], [3.0]])
    Traceback (most recent call last):
    skfactor.exceptions.MissingDatesWarning: ...
    """


class ImputationWarning(UserWarning):
    """A value stayed missing because nothing known at its date could fill it.

    Examples
    --------
    >>> import warnings
    >>> from skfactor.exceptions import ImputationWarning
    >>> from skfactor.preprocessing import PanelImputer
    >>> early = [[float("nan")], [1.0]]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", ImputationWarning)
    ...     PanelImputer().fit_transform(early, dates=[2023, 2024], assets=["A", "A"])
    array([[nan],
           [ 1.]])
    """


class PerplexityWarning(UserWarning):
    """The perplexity asked for is too high for the rows at hand and was reduced.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from skfactor import TSNEEmbedder
    >>> from skfactor.exceptions import PerplexityWarning
    >>> rows = np.random.default_rng(0).normal(size=(31, 3))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", PerplexityWarning)
    ...     TSNEEmbedder(perplexity=30, random_state=0).fit(rows).perplexity_
    10.0
    """


class ClusteringScoreWarning(UserWarning):
    """A clustering could not be scored; the score is NaN and the message says why.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.cluster import KMeans
    >>> from skfactor.exceptions import ClusteringScoreWarning
    >>> from skfactor.metrics import silhouette_scorer
    >>> rows = [[0.0], [1.0], [2.0]]
    >>> one_cluster = KMeans(1, n_init=1, random_state=0).fit(rows)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ClusteringScoreWarning)
    ...     silhouette_scorer(one_cluster, rows)
    Traceback (most recent call last):
    skfactor.exceptions.ClusteringScoreWarning: The silhouette score is NaN: ...
    """


class FitInterrupted(KeyboardInterrupt):
    """The user stopped a long fit; the estimator holds the best state it had reached.

    It is a ``KeyboardInterrupt``, so that searches and pipelines stop as well, and ``except
    Exception`` does not swallow it.

    Examples
    --------
    The loss stands in for a user here, who types ``Ctrl-C`` in the second epoch:

    >>> import numpy as np
    >>> import torch
    >>> from skfactor import AutoencoderReducer
    >>> from skfactor.exceptions import FitInterrupted
    >>> class Impatient(torch.nn.MSELoss):
    ...     calls = 0
    ...
    ...     def forward(self, made, rows):
    ...         self.calls += 1
    ...         if self.calls == 4:
    ...             raise KeyboardInterrupt
    ...         return super().forward(made, rows)
    >>> rows = np.random.default_rng(0).normal(size=(20, 4))
    >>> reducer = AutoencoderReducer(2, loss=Impatient, batch_size=20, random_state=0)
    >>> try:
    ...     reducer.fit(rows)
    ... except FitInterrupted:
    ...     print(f"epochs finished: {reducer.n_epochs_}")
    epochs finished: 1
    """
