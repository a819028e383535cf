# SPDX-License-Identifier: BSD-2-Clause
"""Laplace symbols coded by the reference range coder."""

from range_reference import ReferenceDecoder, ReferenceEncoder


def sign_icdf(p0: int) -> list[int]:
    rest = 32768 - 128 * p0
    return [rest, rest // 2, 0]


def magnitude_icdf(r: int) -> list[int]:
    table = [max(7, 128 * r)]
    for k in range(1, 7):
        table.append(max(7 - k, table[-1] * 128 * r // 32768))
    return [*table, 0]


def put_reference(encoder: ReferenceEncoder, value: int, r: int, p0: int) -> None:
    if r == 0 or p0 == 255:
        return
    encoder.icdf((value > 0) + 2 * (value < 0), sign_icdf(p0))
    if value:
        sevens, rest = divmod(abs(value) - 1, 7)
        for symbol in [7] * sevens + [rest]:
            encoder.icdf(symbol, magnitude_icdf(r))


def get_reference(decoder: ReferenceDecoder, r: int, p0: int) -> int:
    if r == 0 or p0 == 255:
        return 0
    sign = (0, 1, -1)[decoder.icdf(sign_icdf(p0))]
    if sign == 0:
        return 0
    total, symbol = 1, 7
    while symbol == 7:
        symbol = decoder.icdf(magnitude_icdf(r))
        total += symbol
    return sign * total
