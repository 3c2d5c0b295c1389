"""Post-training quantization: a float network and calibration data in, an integer network out."""
