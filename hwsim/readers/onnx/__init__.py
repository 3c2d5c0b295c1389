"""Reads ONNX files: networks that are quantized already, and networks of reals."""
