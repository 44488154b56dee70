"""Rows as Parquet, each column with its unit and meaning."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import date, datetime
from itertools import chain
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from worker.columns import Column
from worker.reports.extract import NOTICE_COLUMN, Extract
from worker.result import NOTICE

_GROUP_ROWS = 64_000
"""Rows in a group: read at once by others, and in memory here."""
_BLOCK_BYTES = 1 << 20
_TYPES: dict[type, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    tuple: pa.list_(pa.string()),
    datetime: pa.timestamp("us", tz="UTC"),
    date: pa.date32(),
}
_AS_TEXT = (tuple, datetime, date)


def write_parquet(extract: Extract, out: BinaryIO) -> int:
    """Write a table; return its rows. Unknown is null, words are lists, texts are as they stand."""
    schema = pa.schema([_field(column) for column in extract.columns], {"notice": NOTICE})
    count = 0
    with (
        pq.ParquetWriter(out, schema, compression="zstd") as writer,
        ThreadPoolExecutor(1) as thread,
    ):

        def write(group: pa.Table) -> None:
            arrays = map(_refined, extract.columns, group.columns)
            writer.write_table(pa.Table.from_arrays(list(arrays), schema=schema))

        written: Future[None] = thread.submit(lambda: None)
        for group in _groups(extract):
            count += group.num_rows
            written.result()  # one group is written while the next one comes
            written = thread.submit(write, group)
        written.result()
    return count


def _groups(extract: Extract) -> Iterator[pa.Table]:
    """Yield some thousand rows at a time; times, days and words are texts yet."""
    plain = pa.schema(
        [
            pa.field(column.name, pa.string() if column.type in _AS_TEXT else _type(column))
            for column in extract.columns
        ]
    )
    group: list[pa.RecordBatch] = []
    rows = 0
    for batch in _made(extract, plain) if extract.lines is None else _copied(extract.lines, plain):
        group.append(batch)
        rows += batch.num_rows
        if rows >= _GROUP_ROWS:
            yield pa.Table.from_batches(group)
            group, rows = [], 0
    if group:
        yield pa.Table.from_batches(group)


def _made(extract: Extract, plain: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield rows whose values came one by one."""
    for part in extract.parts:
        arrays = [pa.array(*each) for each in zip(part, plain.types, strict=True)]
        yield pa.record_batch(arrays, schema=plain)


def _copied(
    lines_of: Callable[[], Generator[bytes, None, None]], plain: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield rows that came as lines of CSV."""
    copied = (field.type for field in plain if field.name != NOTICE_COLUMN.name)
    types = {str(number): kind for number, kind in enumerate(copied)}  # a name may come twice
    convert = pv.ConvertOptions(
        column_types=types,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    read = pv.ReadOptions(column_names=list(types), block_size=_BLOCK_BYTES)
    # Of one column, a line that is empty is a row whose value is unknown.
    parse = pv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    with closing(lines_of()) as lines:
        first = next(lines, None)
        if first is None:
            return
        stream = pa.PythonFile(_Stream(chain([first], lines)), mode="r")
        for batch in pv.open_csv(stream, read, parse, convert):
            notice, known = pa.repeat(NOTICE, batch.num_rows), iter(batch.columns)
            arrays = [notice if name == NOTICE_COLUMN.name else next(known) for name in plain.names]
            yield pa.record_batch(arrays, schema=plain)


class _Stream(io.RawIOBase):
    """Pieces of bytes as a file that can be read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there is anything; return how many bytes came."""
        filled = 0
        while filled < len(buffer) and (piece := self._rest or memoryview(next(self._pieces, b""))):
            taken = piece[: len(buffer) - filled]
            buffer[filled : filled + len(taken)] = taken
            filled += len(taken)
            self._rest = piece[len(taken) :]
        return filled


def _field(column: Column) -> pa.Field:
    told = {"unit": column.unit, "meaning": column.meaning}
    return pa.field(column.name, _type(column), metadata=told)


def _type(column: Column) -> pa.DataType:
    return _TYPES.get(column.type, pa.string())


def _refined(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column's values as they stand in the file."""
    if column.type is tuple:
        words = pc.split_pattern(values, " ")
        has_any = pc.greater(pc.utf8_length(pc.fill_null(values, "")), 0)
        return pc.if_else(has_any, words, pa.scalar([], _type(column)))
    if column.type is datetime:
        return pc.assume_timezone(values.cast(pa.timestamp("us")), "UTC")
    if column.type is date:
        return values.cast(_type(column))
    return values if column.decimals is None else pc.round(values, column.decimals)
