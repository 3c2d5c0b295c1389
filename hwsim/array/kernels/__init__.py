"""Compiled loops: imported on first use, because they bring Numba with them."""
