"""When a value may be forgotten."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def last_reads(reads: Sequence[Sequence[str]], keep: Collection[str] = ()) -> list[list[str]]:
    """Return for each step the tensors that no later step reads, those to ``keep`` left out.

    Args:
        reads: names of the tensors that each step reads, in order of execution.
        keep: tensors that are wanted after the last step.
    """
    seen = set(keep)
    last: list[list[str]] = []
    for names in reversed(reads):
        last.append([name for name in dict.fromkeys(names) if name not in seen])
        seen.update(names)
    return last[::-1]
