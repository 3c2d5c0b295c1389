"""What all specifications share: strict frozen models, and rules that span several keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from hwsim.config.keypath import KeyPath, dotted

CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A rule between keys that does not hold.

    Attributes:
        path: The key to blame, relative to the model or field that found it.
        text: What is wrong, for the user.
        others: The other keys that take part, relative as well.
        at_key: The key itself is wrong, rather than its value.
    """

    path: KeyPath
    text: str
    others: tuple[KeyPath, ...] = ()
    at_key: bool = False


def refuse(conflicts: Iterable[Conflict]) -> None:
    """Raise all of ``conflicts`` as one pydantic error, if there are any."""
    found = tuple(conflicts)
    if found:
        text = "\n".join(f"{dotted(conflict.path)}: {conflict.text}" for conflict in found)
        raise PydanticCustomError(CONFLICT, "{text}", {"text": text, "conflicts": found})


class Spec(BaseModel):
    """Base of all specifications: unknown keys are refused, scalars not converted, instances do not change.

    A subclass with rules between its keys yields what breaks them from ``conflicts``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def conflicts(self) -> Iterable[Conflict]:
        """Return the broken rules between the keys of this specification."""
        return ()

    def __hash__(self) -> int:
        """Hash what the specification says, mappings too: instances do not change."""
        return hash(self.model_dump_json())

    @model_validator(mode="after")
    def _refuse_conflicts(self) -> Self:
        refuse(self.conflicts())
        return self


def _whole_number_only(value: Any) -> Any:
    """Keep ``true`` and ``1.0``, which equal 1, from passing as a literal 1."""
    if type(value) is not int:
        raise PydanticKnownError("int_type")
    return value


SchemaVersion = Annotated[Literal[1], BeforeValidator(_whole_number_only)]
ListInput = Strict(strict=False)  # a tuple may be written as a list; its items stay strict
IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]*$"
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Identifier = Annotated[str, Field(max_length=200, pattern=IDENTIFIER)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
