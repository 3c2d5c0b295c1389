"""The same array as SystemVerilog, and the check that it does what the stepped engine does."""
