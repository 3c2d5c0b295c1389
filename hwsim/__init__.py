"""hwsim: simulation of integer neural-network accelerators round a systolic array, cycle by cycle and bit for bit."""

__version__ = "0.1.0"
