"""How far the integers of one layer's output lie from the float network's values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorError:
    """One activation tensor, all samples together; ``layer`` writes it (``input``: the network's input).

    ``sqnr_db`` is ``10 log10(sum f**2 / sum (q - f)**2)`` of the reals q that the codes stand for against the float
    network's f; None where there is no error or no signal. ``mean_error`` is the mean of q - f (a bias),
    ``worst_error`` the greatest ``|q - f|``. ``clipping_rate`` is the fraction of elements whose float value rounds to
    no code of the format; ``saturation_rate`` the fraction that have the lowest or the highest code while the float
    value lies beyond it. On an array of floats clipped is what the format does not hold, saturated what is infinite or
    NaN, and the errors are those of all other elements.
    """

    layer: str
    tensor: str
    bits: int
    elements: int
    sqnr_db: float | None
    mean_error: float
    worst_error: float
    saturation_rate: float
    clipping_rate: float

    def row(self) -> dict[str, Any]:
        """Return the figures by name."""
        return asdict(self)


ERROR_COLUMNS = tuple(field.name for field in fields(TensorError))
