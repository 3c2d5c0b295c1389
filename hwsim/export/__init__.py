"""Writes quantized networks as ONNX files: QDQ for ONNX Runtime and its like, QONNX for Brevitas, FINN and hls4ml."""
