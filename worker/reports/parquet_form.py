"""Rows as Parquet, each column with its unit and meaning."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from worker.columns import Column
from worker.reports.extract import Extract, Part
from worker.result import NOTICE

_GROUP_ROWS = 64_000
"""Rows in a group: read at once by others, and in memory here."""
_TYPES: dict[type, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    tuple: pa.list_(pa.string()),
    datetime: pa.timestamp("us", tz="UTC"),
    date: pa.date32(),
}


def write_parquet(extract: Extract, out: BinaryIO) -> int:
    """Write a table; return its rows. Unknown is null, words are lists, texts are as they stand."""
    schema = pa.schema([_field(column) for column in extract.columns], {"notice": NOTICE})
    count = 0
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        group: list[pa.RecordBatch] = []
        for part in extract.parts:
            group.append(_batch(extract.columns, part, schema))
            count += len(part[0])
            if sum(each.num_rows for each in group) >= _GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(group), _GROUP_ROWS * 2)
                group = []
        if group:
            writer.write_table(pa.Table.from_batches(group))
    return count


def _field(column: Column) -> pa.Field:
    told = {"unit": column.unit, "meaning": column.meaning}
    return pa.field(column.name, _TYPES.get(column.type, pa.string()), metadata=told)


def _batch(columns: Sequence[Column], part: Part, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        _array(column, values, field.type)
        for column, values, field in zip(columns, part, schema, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def _array(column: Column, values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if column.type is tuple:
        texts = pa.array([each or None for each in values], pa.string())
        lists = pc.split_pattern(texts, " ")
        return pc.if_else(pc.is_valid(texts), lists, pa.scalar([], kind))
    if column.type in (datetime, date):
        return _moments(pa.array(values, pa.string()), kind)
    array = pa.array(values, kind)
    return array if column.decimals is None else pc.round(array, column.decimals)


def _moments(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pc.assume_timezone(texts.cast(pa.timestamp("us")), "UTC")
    return texts.cast(kind)
