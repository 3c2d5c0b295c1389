"""Results of runs and sweeps: in memory, as JSON and CSV, and in a SQLite store."""
