"""Integer arithmetic: formats, quantization, requantization, lookup tables. No clock, no files."""
