"""Blocks of columns and their way into pandas: Arrow where pyarrow is installed, plain lists elsewhere.

Both ways give the same frame; a test compares them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aipipe.analysis.columns import Column
from aipipe.analysis.extract import time_of

if TYPE_CHECKING:
    import pandas as pd

CODE = "_code"
"""Hidden column: number of the run in its listing."""
TEXTUAL = ("string", "json", "list")
"""Kinds that are plain text in a frame."""
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Years 1 to 9999 in microseconds: what a Python datetime can hold."""


def arrow() -> Any:
    """pyarrow, or None where it is not installed (or switched off by AIPIPE_NO_ARROW=1, for comparison)."""
    if os.environ.get("AIPIPE_NO_ARROW") == "1":
        return None
    try:
        import pyarrow as pa
    except ImportError:
        return None
    return pa


def _arrow_type(pa: Any, kind: str) -> Any:
    return {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
        # Parquet gives dictionaries back with short strings; new chunks must join them.
        "category": pa.string(),
    }.get(kind) or pa.large_string()


def block(pa: Any, columns: Sequence[Column], values: dict[str, list[Any]], codes: list[int]) -> Any:
    """One chunk of rows: an Arrow table, or the dict of lists itself where `pa` is None."""
    if pa is None:
        return {**values, CODE: codes}
    kinds = {c.name: c.kind for c in columns}
    arrays, names = [], []
    for name, cells in values.items():
        arrays.append(_array(pa, kinds[name], cells))
        names.append(name)
    arrays.append(pa.array(codes, type=pa.int32()))
    return pa.table(arrays, names=[*names, CODE])


def _array(pa: Any, kind: str, cells: list[Any]) -> Any:
    declared = _arrow_type(pa, kind)
    if cells.count(None) == len(cells):
        array = pa.nulls(len(cells), type=declared)
    elif kind == "time":
        array = _times(pa, declared, cells)
    else:
        array = pa.array(cells, type=declared, from_pandas=False)
    return array.dictionary_encode() if kind == "category" else array


def _times(pa: Any, declared: Any, cells: list[Any]) -> Any:
    """Times from ISO texts, which Arrow reads ten times as fast as Python; what it refuses is read one by one."""
    import pyarrow.compute as pc

    try:
        array = pa.array(cells, type=pa.string()).cast(declared)
        ends = pc.min_max(array.cast(pa.int64())).as_py()
        if ends["min"] >= _FIRST_US and ends["max"] <= _LAST_US:
            return array
    except (TypeError, pa.ArrowException):
        pass
    return pa.array([time_of(c) if isinstance(c, str) else c for c in cells], type=declared)


def join(pa: Any, blocks: Sequence[Any]) -> Any:
    """Several blocks as one."""
    if pa is not None:
        return pa.concat_tables(blocks).unify_dictionaries()
    joined: dict[str, list[Any]] = {name: [] for name in blocks[0]}
    for part in blocks:
        for name, cells in part.items():
            joined[name].extend(cells)
    return joined


Columns = dict[str, Any]
"""Columns of a frame by name, as the arrays that pandas takes; what is joined to a frame is joined to these, because a
frame hands out and takes in a column ten times as slowly."""


def frame(pa: Any, columns: Sequence[Column], table: Any, given: Columns | None = None) -> pd.DataFrame:
    """The block as a DataFrame with declared dtypes, in declared order; columns that it does not hold may be given."""
    return framed(arrays(pa, columns, table, given))


def arrays(
    pa: Any, columns: Sequence[Column], table: Any, given: Columns | None = None, *, tidy: bool = False
) -> Columns:
    """The columns of a block with declared dtypes, in declared order.

    Args:
        pa: pyarrow, or None.
        columns: Declared columns.
        table: The block.
        given: Columns that the block does not hold.
        tidy: The block was made by `tidied`.
    """
    held = dict(zip(table.column_names, table.columns, strict=True)) if pa is not None else table
    data: Columns = {}
    for column in columns:
        if given is not None and column.name in given:
            data[column.name] = given[column.name]
        elif column.name in held:
            cells = held[column.name]
            data[column.name] = from_arrow(pa, column, cells, tidy=tidy) if pa is not None else series(column, cells)
        elif tidy:
            data[column.name] = blank(column, table.num_rows)
    return data


def framed(data: Columns) -> pd.DataFrame:
    """Columns as a DataFrame, which takes them as they are."""
    import pandas as pd

    rows = pd.RangeIndex(len(next(iter(data.values()), ())))
    assemble = _assembler()
    if assemble is None:
        return pd.DataFrame(data, index=rows, copy=False)
    made: pd.DataFrame = assemble(_blocks(data), index=rows, columns=_header(tuple(data)).view())
    return made


@lru_cache(maxsize=1)
def _assembler() -> Any:
    """Pandas' function for columns that need no check, half as slow as its constructor; None before pandas 3."""
    try:
        internals = import_module("pandas.api.internals")  # which the stubs do not know
    except ImportError:
        return None
    return getattr(internals, "create_dataframe_from_blocks", None)


def _blocks(data: Columns) -> list[tuple[Any, Any]]:
    """Each column as a block of its own, with its place; numpy's arrays lie on their side there."""
    import numpy as np

    places = np.arange(len(data), dtype=np.intp)
    return [
        (cells.reshape(1, -1) if isinstance(cells, np.ndarray) else cells, places[i : i + 1])
        for i, cells in enumerate(data.values())
    ]


@lru_cache(maxsize=32)
def _header(names: tuple[str, ...]) -> Any:
    """Names of columns as pandas keeps them; to be viewed, because a frame may give its header a name."""
    import pandas as pd

    return pd.Index(list(names))


def blank(column: Column, size: int) -> Any:
    """A column that holds nothing."""
    import numpy as np
    import pandas as pd

    pa = arrow()
    if pa is not None and column.kind in TEXTUAL:
        return _extension(_text(), _no_texts(size))
    if column.kind == "category":
        return _no_categories(column, size)
    if column.kind == "int":
        return pd.arrays.IntegerArray(np.ones(size, dtype=np.int64), np.ones(size, dtype=bool))
    if column.kind == "bool":
        return pd.arrays.BooleanArray(np.zeros(size, dtype=bool), np.ones(size, dtype=bool))
    return series(column, [None] * size)


@lru_cache(maxsize=2)
def _no_texts(size: int) -> Any:
    """Missing texts, shared by the columns of a frame: Arrow's arrays never change, pandas puts new ones in their place."""
    import pyarrow as pa

    return pa.chunked_array([pa.nulls(size, type=pa.large_string())])


def from_arrow(pa: Any, column: Column, cells: Any, *, tidy: bool = False) -> Any:
    """One column from a chunked Arrow array, with its declared dtype; for `tidy` see `arrays`."""
    import pandas as pd

    kind = column.kind
    if cells.null_count == len(cells):
        return blank(column, len(cells))
    if kind == "category":
        return _tidy_categories(column, cells) if tidy else _categories(pa, column, cells)
    if kind == "int":
        return _integers(cells)
    if kind == "bool":
        return _extension(pd.BooleanDtype(), cells)
    if kind == "float":
        return _own(cells.to_numpy())
    if kind == "time":
        # A copy, as in `_own`.
        return _extension(pd.DatetimeTZDtype("us", "UTC"), cells).copy()
    return _extension(_text(), cells)


@lru_cache(maxsize=1)
def _text() -> Any:
    import pandas as pd

    return pd.StringDtype("pyarrow")


def _integers(cells: Any) -> Any:
    """Whole numbers; pandas' own way costs three times as much, which shows where a dozen columns have few rows."""
    import numpy as np
    import pandas as pd

    if not cells.null_count:
        return pd.arrays.IntegerArray(_own(cells.to_numpy()), np.zeros(len(cells), dtype=bool))
    return _extension(pd.Int64Dtype(), cells)


def _own(values: Any) -> Any:
    """Values that a frame may change: what Arrow lends is read-only, and shared with an index kept in memory."""
    return values if values.flags.writeable else values.copy()


def _extension(dtype: Any, cells: Any) -> Any:
    """Pandas' own way from Arrow to an extension type, which its stubs do not know."""
    return dtype.__from_arrow__(cells)


def _categories(pa: Any, column: Column, cells: Any) -> Any:
    import pandas as pd

    codes, names = _coded(pa, column, cells)
    # Every used value has its place, so the codes need no second check.
    return pd.Categorical.from_codes(codes, dtype=_categorical(tuple(names)), validate=False)


def _coded(pa: Any, column: Column, cells: Any) -> tuple[Any, list[str]]:
    """Codes of a category column, -1 for missing, and the categories they count in."""
    import numpy as np

    encoded = cells.combine_chunks() if cells.num_chunks != 1 else cells.chunk(0)
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    present = encoded.dictionary.to_pylist()
    indices = encoded.indices.fill_null(-1) if encoded.null_count else encoded.indices
    indices = indices.to_numpy(zero_copy_only=False)
    # A filtered or merged dictionary may hold values that no row uses; categories must not tell of deleted runs.
    used = np.zeros(len(present) + 1, dtype=bool)
    used[indices] = True
    names = ordered(column, [p for p, u in zip(present, used, strict=False) if u])
    place = {name: i for i, name in enumerate(names)}
    remap = np.array([place.get(p, -1) for p in present] + [-1], dtype=_narrow(names))
    return remap[indices], names


def _narrow(names: Sequence[str]) -> Any:
    """Type of codes, as narrow as pandas would make them itself, in a second pass."""
    import numpy as np

    return np.int8 if len(names) < 128 else np.int32


def tidied(pa: Any, columns: Sequence[Column], table: Any) -> Any:
    """The block in one piece as it is read fastest: see `untidied` for the way back.

    The dictionaries of categories are those of a frame, times bear no zone (it is UTC), which pandas would have to take
    off, and columns that hold nothing are left out.
    """
    size = table.num_rows
    held = {}
    for column in [c for c in columns if c.name in table.column_names]:
        cells = table.column(column.name)
        if cells.null_count == size:
            continue
        if column.kind == "category":
            codes, names = _coded(pa, column, cells)
            indices = pa.array(codes.astype("int32"), mask=codes < 0)
            cells = pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))
        elif column.kind == "time":
            cells = cells.cast(pa.timestamp("us"))
        held[column.name] = cells
    return pa.table({**held, CODE: table.column(CODE)}).combine_chunks()


def untidied(pa: Any, schema: Any, table: Any) -> Any:
    """A tidied block with the columns and types of a block as it is made, to be joined with it."""
    size = table.num_rows
    held = {}
    for field in schema:
        if field.name not in table.column_names:
            held[field.name] = pa.nulls(size, type=field.type)
        else:
            cells = table.column(field.name)
            held[field.name] = cells.cast(field.type) if pa.types.is_timestamp(field.type) else cells
    return pa.table(held)


def _tidy_categories(column: Column, cells: Any) -> Any:
    import pandas as pd

    encoded = cells.chunk(0)
    indices = encoded.indices.fill_null(-1) if encoded.null_count else encoded.indices
    names = tuple(encoded.dictionary.to_pylist())
    codes = indices.to_numpy().astype(_narrow(names))
    return pd.Categorical.from_codes(codes, dtype=_categorical(names), validate=False)


def _no_categories(column: Column, size: int) -> Any:
    import numpy as np
    import pandas as pd

    dtype = _categorical(tuple(ordered(column, [])))
    return pd.Categorical.from_codes(np.full(size, -1, dtype=np.int8), dtype=dtype, validate=False)


@lru_cache(maxsize=256)
def _categorical(names: tuple[str, ...]) -> Any:
    """The dtype of a category column; making one costs more than filling a small column with it."""
    import pandas as pd

    return pd.CategoricalDtype(pd.Index(list(names), dtype=pd.StringDtype("pyarrow")))


def ordered(column: Column, values: Sequence[str]) -> list[str]:
    """Categories of a column: declared ones first, then the rest by alphabet."""
    return [*column.categories, *sorted(set(values) - set(column.categories))]


def string_dtype() -> Any:
    """The dtype of text columns."""
    import pandas as pd

    return pd.StringDtype("pyarrow" if arrow() is not None else "python")


def series(column: Column, cells: Sequence[Any]) -> Any:
    """One column from Python values, with its declared dtype; also right for no values at all."""
    import numpy as np
    import pandas as pd

    kind = column.kind
    if kind == "category":
        names = ordered(column, [c for c in cells if c is not None])
        place = {name: i for i, name in enumerate(names)}
        codes = np.array([place.get(c, -1) for c in cells], dtype=np.int32)
        return pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=string_dtype()))
    if kind == "int":
        return pd.array(list(cells), dtype="Int64")
    if kind == "bool":
        return pd.array(list(cells), dtype="boolean")
    if kind == "float":
        return np.array([np.nan if c is None else c for c in cells], dtype="float64")
    if kind == "time":
        naive = np.array([None if c is None else c.replace(tzinfo=None) for c in cells], dtype="datetime64[us]")
        return pd.DatetimeIndex(naive).tz_localize("UTC").array
    pa = arrow()
    if pa is not None:
        return _extension(_text(), pa.chunked_array([pa.array(cells, type=pa.large_string())]))
    return pd.array(list(cells), dtype=string_dtype())
