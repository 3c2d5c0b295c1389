"""What every unit does when: slices of time on tracks, and levels, told to whoever draws them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hwsim.machine.timeline import Span

Detail = int | str


@dataclass(frozen=True, slots=True)
class Slice:
    """A unit works from cycle ``start`` up to, not including, ``end``; on one track, slices overlap only if nested."""

    track: str
    name: str
    start: int
    end: int
    details: Mapping[str, Detail] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Level:
    """A quantity has a value from a cycle on."""

    name: str
    cycle: int
    value: float


Sink = Callable[[Slice | Level], None]


class Tracer:
    """Names what happens by the layer that runs, and finds room for folds that overlap."""

    def __init__(self, sink: Sink, whole: Tracer | None = None) -> None:
        self._sink, self._whole = sink, whole
        self._layer = ""
        self._lanes: dict[str, list[int]] = {}

    @property
    def layer(self) -> str:
        """The layer that runs, on all cores."""
        return self._layer if self._whole is None else self._whole.layer

    @layer.setter
    def layer(self, name: str) -> None:
        self._layer = name

    def of_core(self, core: str) -> Tracer:
        """Return one that tells of a core's units, in the same layers, on tracks whose names begin like this."""

        def name(one: Slice | Level) -> None:
            if isinstance(one, Level):
                self._sink(replace(one, name=f"{core}{one.name}"))
            else:
                self._sink(replace(one, track=f"{core}{one.track}"))

        return Tracer(name, self)

    def slice(self, track: str, name: str, start: int, end: int, details: Mapping[str, Detail] | None = None) -> None:
        """Tell of a slice; one without a cycle is left out."""
        if start < end:
            self._sink(Slice(track, name, start, end, {"layer": self.layer} | dict(details or {})))

    def share(self, span: Span) -> None:
        """Tell to which class cycles belong."""
        self.slice("cycles by class", span.kind.replace("_", " "), span.start, span.end)

    def level(self, name: str, cycle: int, value: float) -> None:
        """Tell of a new value."""
        self._sink(Level(name, cycle, value))

    def lane(self, track: str, start: int, end: int) -> str:
        """Return the track, or another one of the same unit where the first is taken between these cycles."""
        lanes = self._lanes.setdefault(track, [])
        number = next((lane for lane, free_from in enumerate(lanes) if free_from <= start), len(lanes))
        lanes[number : number + 1] = [end]
        return track if number == 0 else f"{track} ({number + 1})"
