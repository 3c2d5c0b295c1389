"""Reads TensorFlow Lite files: networks that are quantized already."""
