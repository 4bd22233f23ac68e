"""Arithmetic shared by estimators: many regressions at once, on NumPy arrays alone."""
