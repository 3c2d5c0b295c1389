"""The integer arithmetic of TensorFlow Lite's kernels, bit by bit.

"As TensorFlow Lite" is ambiguous: its kernels round in several ways. Each way is a *profile*:

``tflm``
    TensorFlow Lite for Microcontrollers: integers only, double rounding.
``litert_reference``
    LiteRT's reference kernels: as ``tflm``, but some operators in floating point.
``litert_optimized``
    LiteRT's optimized kernels on x86: double rounding, the second one half up.
``xnnpack``
    LiteRT's default delegate: float32 scales, half to even.

Codes are int64 arrays of any shape; scales are the float32 values that a model file holds.
"""
