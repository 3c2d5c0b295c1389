"""Mapping: which folds a layer is cut into, and which transfers bring their operands."""
