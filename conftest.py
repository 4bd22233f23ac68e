"""Settings for every test and doctest, made before NumPy or torch is imported."""

import os

# Small nets on shared cores run many times slower with several threads than with one.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
# scikit-learn skips one of its estimator checks without this.
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ.setdefault("MPLBACKEND", "agg")
