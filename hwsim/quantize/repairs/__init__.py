"""Repairs: what is done about the error of quantization, one class each, registered by name."""
