"""Execution without a clock: floating-point values, and the array's integers for whole data sets."""
