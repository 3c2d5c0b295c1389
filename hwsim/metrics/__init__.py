"""Figures of merit: accuracy, SQNR, Pareto fronts, and the guard bits that suffice."""
