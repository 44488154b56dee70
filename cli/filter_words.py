"""The filters of rows as people type them, and what they ask of the ledger."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from worker.errors import HcBatchError, ScanFailed, ScanRejected, codes_of

if TYPE_CHECKING:
    from worker.store.filter import Filter
    from worker.store.session import Database

# What scans may end with: HcBatchError's own code stands for what nobody expected.
SCAN_CODES = (HcBatchError.code, *codes_of(ScanRejected), *codes_of(ScanFailed))

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows a command is asked for; ``words``: the batch as it was typed, and ``Filter``'s."""

    batch: str | None
    words: dict[str, Any]

    def filter(self, database: Database, **more: Any) -> Filter:
        """Return the filter, with ``more`` of its fields.

        Raises ``BatchUnknown`` and ``BatchAmbiguous``.
        """
        # They load SQLAlchemy, for which nobody who asks for help should wait.
        from worker.store.batches import find_batch
        from worker.store.filter import Filter

        batch = None if self.batch is None else find_batch(database, self.batch)
        return replace(Filter(batch=batch, **self.words), **more)


def asked(*, batch: str | None, named: str | None, words: dict[str, Any]) -> Asked:
    """Return what the options ask for. Raises ``UsageError`` where they contradict each other."""
    if batch is not None and named is not None:
        raise click.UsageError("give BATCH once, with --batch or without")
    _refuse_empty("--since", words["since"], "--until", words["until"], is_open=True)
    _refuse_empty("--hc-from", words["hc_from_mm"], "--hc-to", words["hc_to_mm"])
    kept = {
        name: value or None if isinstance(value, tuple) else value for name, value in words.items()
    }
    return Asked(batch if named is None else named, kept)


def _refuse_empty(first: str, low: Any, second: str, high: Any, *, is_open: bool = False) -> None:
    if low is None or high is None or low < high or (low == high and not is_open):
        return
    raise click.UsageError(f"nothing can lie from {first} {low} to {second} {high}; swap them?")


class Word(click.ParamType[str]):
    """One of some known words, such as a code or a flag; near ones are told."""

    def __init__(self, name: str, known: Collection[str], page: str) -> None:
        self.name = name
        self._known = tuple(known)
        self._page = page

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the word. Raises ``BadParameter`` where there is none of this name."""
        word = str(value).strip().lower()
        if word not in self._known:
            near = " or ".join(difflib.get_close_matches(word, self._known)) or self._page
            self.fail(f"there is no {self.name.lower()} {value!r}: {near}?", param, ctx)
        return word


class Text(click.ParamType[str]):
    """A text that the ledger may hold."""

    name = "TEXT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the text. Raises ``BadParameter`` where it is empty or no Unicode."""
        text = str(value)
        if not text.strip():
            self.fail("it is empty; has a variable no value? Leave it out for all rows", param, ctx)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail("it holds bytes that are no UTF-8; put * in their place", param, ctx)
        return text


class StudyUid(Text):
    """A StudyInstanceUID."""

    name = "UID"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the UID. Raises ``BadParameter`` for anything else."""
        text = super().convert(value, param, ctx).strip()
        if len(text) > 64 or not _UID.fullmatch(text):
            self.fail(
                f"{text!r} is no UID: numbers with dots between, as in the column"
                " study_instance_uid",
                param,
                ctx,
            )
        return text


class Millimetres(click.ParamType[float]):
    """A number of millimetres, also with a decimal comma or ``mm`` behind it."""

    name = "MM"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number. Raises ``BadParameter`` for anything else."""
        word = str(value).strip().lower().removesuffix("mm").replace(",", ".")
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            self.fail(f"{value!r} is no length: a number of mm, such as 175.5", param, ctx)
        return number
