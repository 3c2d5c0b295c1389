"""The machine round the array: SimPy processes that move operands, step folds, requantize and write back."""
