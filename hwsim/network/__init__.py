"""Networks: tensors, operators with their float values, and their lowering to integer steps."""
