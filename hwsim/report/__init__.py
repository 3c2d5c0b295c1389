"""Tables and plots of a sweep, from its stored results only."""
