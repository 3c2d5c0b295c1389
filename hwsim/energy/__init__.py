"""From counts of actions to picojoules, by sourced tables."""
