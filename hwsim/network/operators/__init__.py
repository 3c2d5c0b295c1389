"""Operators: one small class each."""
