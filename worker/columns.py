"""Dataclasses whose fields are columns: each with its unit and one line of meaning in its type.

A field ``hc_mm: Annotated[Annotated[float | None, Unit("mm")], "head circumference"]`` is a
column; a field whose type is another dataclass is a part, and stands for its own columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

Whole = TypeVar("Whole")


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a column, in its type.

    ``decimals``: as many as the quantity deserves in a file; ``None`` keeps all.
    """

    name: str
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A field, whichever part holds it; ``type`` is that of a known value."""

    name: str
    type: type
    optional: bool
    unit: str
    meaning: str
    decimals: int | None = None


def columns_of(kind: type) -> tuple[Column, ...]:
    """Return a dataclass's columns in the order of its fields, those of a part in its place."""
    return _columns(kind)


def flattened(whole: object) -> dict[str, Any]:
    """Return a dataclass's values by column, in the order of ``columns_of``."""
    values: dict[str, Any] = {}
    for name, part in _fields(type(whole)):
        value = getattr(whole, name)
        if part is None:
            values[name] = value
        else:
            values |= flattened(value)
    return values


def assembled(kind: type[Whole], values: Mapping[str, Any]) -> Whole:
    """Return the dataclass with these values by column: the inverse of ``flattened``.

    Raises ``KeyError`` where a column is missing.
    """
    return kind(
        *[values[name] if part is None else assembled(part, values) for name, part in _fields(kind)]
    )


def in_order(kind: type[Whole], values: Iterable[Any]) -> Whole:
    """Return the dataclass with these values, which stand in the order of ``columns_of``.

    As ``assembled``, and quicker. Raises ``StopIteration`` where one is missing.
    """
    line = iter(values)
    return kind(
        *[next(line) if part is None else in_order(part, line) for _, part in _fields(kind)]
    )


def _read_hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind)}


_hints: Callable[[type], dict[str, Any]] = cache(_read_hints)


def _read_columns(kind: type) -> tuple[Column, ...]:
    columns: list[Column] = []
    for name, hint in _hints(kind).items():
        columns.extend(columns_of(hint) if _is_part(hint) else [_column(name, hint)])
    return tuple(columns)


_columns: Callable[[type], tuple[Column, ...]] = cache(_read_columns)


def _read_fields(kind: type) -> tuple[tuple[str, type | None], ...]:
    """Return the fields in their order, each with its dataclass where it is a part."""
    return tuple((name, hint if _is_part(hint) else None) for name, hint in _hints(kind).items())


# Asked for every row that is read or written.
_fields: Callable[[type], tuple[tuple[str, type | None], ...]] = cache(_read_fields)


def _is_part(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint)


def _column(name: str, hint: Any) -> Column:
    value, *notes = get_args(hint) if get_origin(hint) is Annotated else [hint]
    optional = NoneType in get_args(value)
    known = next(each for each in get_args(value) if each is not NoneType) if optional else value
    unit = next((note for note in notes if isinstance(note, Unit)), Unit(""))
    (meaning,) = (note for note in notes if isinstance(note, str))
    kind = get_origin(known) or known
    return Column(name, kind, optional, unit.name, meaning, unit.decimals)
