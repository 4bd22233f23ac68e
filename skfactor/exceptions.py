"""Warnings and errors of skfactor, each a subclass of what scikit-learn users catch already."""

__all__ = [
    "ClusteringScoreWarning",
    "FitInterrupted",
    "ImputationWarning",
    "MissingDatesWarning",
    "PerplexityWarning",
]


class MissingDatesWarning(UserWarning):
    """Nothing said which date a row belongs to; all rows were taken as one cross-section."""


class ImputationWarning(UserWarning):
    """A value stayed missing because nothing known at its date could fill it."""


class PerplexityWarning(UserWarning):
    """The perplexity asked for is too high for the rows at hand and was reduced."""


class ClusteringScoreWarning(UserWarning):
    """A clustering could not be scored; the score is NaN and the message says why."""


class FitInterrupted(KeyboardInterrupt):
    """The user stopped a long fit; the estimator holds the best state it had reached."""
