"""Torch modules and the one training driver: the only place that imports torch."""
