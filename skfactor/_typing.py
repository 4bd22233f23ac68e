"""Short names for the types that signatures repeat."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

ArrayLike: TypeAlias = Any
"""What users hand in: an array, a pandas or polars frame, a list of lists.

Frames of several libraries share no static type; validation decides at run time.
"""

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
"""A floating-point array, float32 or float64."""

IntArray: TypeAlias = npt.NDArray[np.intp]
"""An array of positions or labels."""

RandomState: TypeAlias = int | np.random.RandomState | None
"""scikit-learn's ``random_state``."""
