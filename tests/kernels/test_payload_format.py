# SPDX-License-Identifier: BSD-2-Clause
"""The payload format written a second time, from docs/reference/bitstream.md; and frozen bytes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laplace_reference import put_reference
from range_reference import ReferenceEncoder

from dredge_kernels.payload import decode_payload, encode_symbols
from dredge_kernels.tables import KINDS, QuantTables

SLOPE = (0, 2, 3, 4, 6, 8, 12, 16)


def plain_tables(version: int) -> QuantTables:
    """Tables by a formula, so that the frozen bytes below hold for ever."""
    level, arrays = np.arange(16)[:, None], {}
    for part, dim in (("latent", 5), ("state", 3)):
        k = np.arange(dim)[None, :]
        values = (240 - 9 * level - k, 7 * k + level, 200 - 12 * level - 11 * k, 40 + 13 * level + k)
        for kind, value in zip(KINDS, values, strict=True):
            arrays[f"{part}_{kind}"] = np.clip(value, 0, 255).astype(np.uint8)
    return QuantTables.from_arrays(version, arrays)


TABLES = {version: plain_tables(version) for version in (10, 12, 0xD1)}


def written_from_the_page(
    rows: list[list[int]], state: list[int], tables: QuantTables, q0: int, dq: int, qmax: int,
    offset: int,
) -> bytes:  # fmt: skip
    encoder = ReferenceEncoder()

    def u(value: int, total: int) -> None:
        encoder.span(value, value + 1, total)

    u(q0, 16)
    u(dq, 8)
    extra, off = divmod(16 - offset, 32)
    u(extra > 0, 2)
    if extra:
        u(extra, 256)
    u(off, 32)
    if q0 < 14 and dq > 0:
        half = 14 - q0
        if qmax == 15:
            encoder.span(0, half, 2 * half)
        else:
            u(half + qmax - q0 - 1, 2 * half)
    else:
        qmax = 15
    if tables.version == 0xD1:
        u(len(rows), 32)
    for k, value in enumerate(state):
        put_reference(encoder, value, int(tables.state[2, q0, k]), int(tables.state[3, q0, k]))
    for i, row in enumerate(rows):
        level = min(qmax, q0 + (SLOPE[dq] * i + 8) // 16)
        for k, value in enumerate(row):
            r, p0 = int(tables.latent[2, level, k]), int(tables.latent[3, level, k])
            put_reference(encoder, value, r, p0)
    size = (encoder.tell() + 7) // 8
    return encoder.finish().ljust(size, b"\0")[:size]


@settings(max_examples=120, deadline=None)
@given(st.data(), st.sampled_from([10, 12, 0xD1]), st.integers(0, 15), st.integers(0, 7))
def test_bytes_are_those_of_the_page(data: st.DataObject, version: int, q0: int, dq: int) -> None:
    tables = TABLES[version]
    qmax = data.draw(st.integers(q0 + 1, 15)) if q0 < 15 else 15
    offset = data.draw(st.integers(-8175, 16))
    count = data.draw(st.integers(1, 26))
    small = st.integers(-9, 9)
    state = data.draw(st.lists(small, min_size=3, max_size=3))
    rows = [data.draw(st.lists(small, min_size=5, max_size=5)) for _ in range(count)]
    top = qmax if q0 < 14 and dq else 15
    for k in range(3):
        state[k] *= int(tables.state[2, q0, k] > 0 and tables.state[3, q0, k] < 255)
    for i, row in enumerate(rows):
        level = min(top, q0 + (SLOPE[dq] * i + 8) // 16)
        for k in range(5):
            row[k] *= int(tables.latent[2, level, k] > 0 and tables.latent[3, level, k] < 255)
    ours = encode_symbols(
        np.array(rows, np.int32), np.array(state, np.int32), tables, q0, dq, qmax, offset
    )
    assert ours == written_from_the_page(rows, state, tables, q0, dq, qmax, offset)


ROWS = [[3, -1, 0, 2, 0], [0, 0, 1, 0, -8], [-2, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
FROZEN = {
    (10, 6, 5, 15, 8): "6a425416149a21bca8",
    (10, 0, 7, 9, -100): "0f03a65943bed6111739e000",
    (0xD1, 6, 5, 15, 8): "6a4092a0d4d783415680",
    (0xD1, 0, 7, 9, -100): "0f03a652ca345aef84640ca0",
    (0xD1, 11, 0, 15, 16): "b0013457927b6c89bee8",
}


@pytest.mark.parametrize("key", FROZEN)
def test_frozen_bytes(key: tuple[int, int, int, int, int]) -> None:
    """What has been sent once must be read for ever: a change here needs a new version byte."""
    version, q0, dq, qmax, offset = key
    tables = TABLES[version]
    data = bytes.fromhex(FROZEN[key])
    decoded = decode_payload(data, tables)
    assert (decoded.q0, decoded.dq, decoded.qmax, decoded.offset) == (q0, dq, qmax, offset)
    assert decoded.state_symbols.tolist() == [1, -2, 0]
    got = decoded.latent_symbols.tolist()
    assert got == (ROWS if version == 0xD1 else ROWS[: len(got)])
    rows = np.array(ROWS, np.int32)
    assert encode_symbols(rows, decoded.state_symbols, tables, q0, dq, qmax, offset) == data
