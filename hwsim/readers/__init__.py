"""Readers: files in, networks and data out. Files are data; nothing in them is executed."""
