"""How often each component of the machine did each of its actions."""

from __future__ import annotations

from collections import Counter

Action = tuple[str, str]


class Counts(Counter[Action]):
    """Counts of actions, keyed by ``(component, action)``, e.g. ``("pe", "multiply")``.

    A plain Counter: missing actions count 0 and ``update`` adds. What one action moves or computes (a multiply,
    a register write of one operand, one bit of scratchpad or DRAM traffic) is said where it is counted.
    """

    def scaled(self, factor: int) -> Counts:
        """Return every count multiplied by ``factor``."""
        return Counts({key: count * factor for key, count in self.items()})
