"""Sweeps: many points of one specification, in parallel processes, stored as they finish."""
