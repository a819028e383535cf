# SPDX-License-Identifier: BSD-2-Clause
from .rangecoder import RangeDecoder, RangeEncoder

def check_tables(r: int, p0: int) -> None: ...
def encode_laplace(encoder: RangeEncoder, value: int, r: int, p0: int) -> None:
    """Code one integer, |value| <= 32767, with decay r/256 and P(0) = p0/256; ValueError else."""

def decode_laplace(decoder: RangeDecoder, r: int, p0: int) -> int:
    """Read one integer."""
