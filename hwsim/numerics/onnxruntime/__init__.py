"""ONNX Runtime's arithmetic on x86: what its 8-bit kernels and its float32 kernels compute, step by step.

Scales are the float32 values that a file holds; rounding is half to even throughout. Kernels that fuse a
multiplication with an addition round once: `fused_multiply_add`.
"""
