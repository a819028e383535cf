# SPDX-License-Identifier: BSD-2-Clause
def silk_frames(config: int) -> int:
    """SILK frames (at most 20 ms each) in one Opus frame of a configuration 0 to 31; 0 for CELT."""

def packet_has_lbrr(packet: bytes) -> bool:
    """Whether the first frame of a packet carries LBRR; False for CELT and for empty (DTX) frames.

    ValueError for a malformed packet.
    """
