"""Read TensorFlow checkpoints ("bundles") without TensorFlow.

The index is a LevelDB table of protocol buffers, one for each variable, that say where in the data file its
bytes lie; see tensorflow/core/util/tensor_bundle and LevelDB's table_format.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

MAGIC = bytes.fromhex("57fb808b247547db")
FLOAT = 1  # DT_FLOAT


def read_bundle(index: Path) -> dict[str, npt.NDArray[np.float32]]:
    """All float variables of a checkpoint by name.

    Parameters
    ----------
    index : its ``.index`` file; ``.data-00000-of-00001`` lies beside it

    Raises
    ------
    ValueError
        if the file is not a whole index of one uncompressed data file
    """
    table = index.read_bytes()
    if len(table) < 48 or table[-8:] != MAGIC:
        raise ValueError("not the index of a TensorFlow checkpoint")
    data = index.with_name(index.name.removesuffix(".index") + ".data-00000-of-00001").read_bytes()
    _, at = _varint(table, len(table) - 48)
    _, at = _varint(table, at)
    start, at = _varint(table, at)
    size, _ = _varint(table, at)
    found: dict[str, npt.NDArray[np.float32]] = {}
    for _, handle in _entries(_block(table, start, size)):
        offset, at = _varint(handle, 0)
        length, _ = _varint(handle, at)
        for name, value in _entries(_block(table, offset, length)):
            array = _variable(value, data) if name else None  # the empty name is the header
            if array is not None:
                found[name.decode()] = array
    return found


def _block(table: bytes, start: int, size: int) -> bytes:
    if start + size >= len(table) or table[start + size] != 0:
        raise ValueError("the index is cut short or compressed")
    return table[start : start + size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key repeats the beginning of the one before."""
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        size, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        yield key, block[at + fresh : at + fresh + size]
        at += fresh + size


def _variable(message: bytes, data: bytes) -> npt.NDArray[np.float32] | None:
    """The variable that a BundleEntryProto describes; None if it does not hold float32."""
    fields = dict(_fields(message))
    if fields.get(1) != FLOAT:
        return None
    shape_message, offset, size = fields.get(2, b""), fields.get(4, 0), fields.get(5, 0)
    if not isinstance(shape_message, bytes) or not isinstance(offset, int) or not isinstance(size, int):
        raise ValueError("the index describes no variable where one should be")
    dims = [dict(_fields(dim)) for number, dim in _fields(shape_message) if number == 2 and isinstance(dim, bytes)]
    shape = [int(dim.get(1, 0)) for dim in dims]
    return np.frombuffer(data[offset : offset + size], "<f4").reshape(shape).copy()


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protocol buffer: number and value."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        elif kind == 2:
            size, at = _varint(message, at)
            yield tag >> 3, message[at : at + size]
            at += size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"unknown wire type {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where the next thing begins."""
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
    raise ValueError("the index is cut short")
