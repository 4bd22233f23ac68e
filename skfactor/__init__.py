"""Deep clustering of stocks and latent factor models as scikit-learn estimators.

The subpackages follow the data, from raw tables to clusters one can read and factors one
can test::

    tables and prices                                             (datasets)
      └─ merge, impute, log, standardise, price features          (preprocessing)
           └─ autoencoder: few values a stock                     (decomposition)
                └─ t-SNE: a map that new stocks can join          (manifold)
                     └─ K-means, spectral, ...                    (scikit-learn)
                          ├─ scores in a stated space             (metrics)
                          ├─ the whole sample as one fold         (model_selection)
                          ├─ profiles, names, stability, lift     (cluster)
                          ├─ pictures                             (plotting)
                          └─ sorts and cluster portfolios         (portfolios)
                               └─ regressions on factors          (linear_model)
                                    └─ tests and their verdicts   (inference)

    characteristics and returns, a row a date and asset           (panel)
      └─ ranked against the other assets of the date              (preprocessing)
           └─ betas, factors, expected returns, risk              (factor_models)
                ├─ whole dates held out, refits on a schedule     (model_selection)
                ├─ total and predictive R², Sharpe ratios         (metrics)
                ├─ importance, attribution, scorecard             (inspection)
                └─ long-short and tangency portfolios             (portfolios)

Every estimator clones, pickles, tunes in ``GridSearchCV`` and composes in ``Pipeline``.
Importing :mod:`skfactor` is cheap: torch, statsmodels and matplotlib are imported by the
parts that need them, when they need them.
"""

import lazy_loader as _lazy_loader

__version__ = "0.1.0.dev0"

__getattr__, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)
