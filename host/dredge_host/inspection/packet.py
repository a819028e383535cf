# SPDX-License-Identifier: BSD-2-Clause
"""The content of one Opus packet: TOC, LBRR, DRED."""

from __future__ import annotations

from dredge_host.inspection.documents import Dred, PacketEntry, Span, Toc
from dredge_kernels.decoded import DecodedPayload
from dredge_kernels.extensions import Extension, parse_extensions
from dredge_kernels.framing import Packet, frame_samples_48k, parse_packet
from dredge_kernels.lbrr import packet_has_lbrr
from dredge_kernels.payload import decode_payload, parse_header
from dredge_kernels.tables import LIBOPUS_1_5, LIBOPUS_1_6, VERSIONS, QuantTables
from dredge_models import modelset
from dredge_models.dred import LATENT_S, PREFIX_BYTES, carried
from dredge_models.registry import DRED_EXTENSION_ID, DRED_VERSION, STANDARD_ID, ModelError

UNIT_MS = 2.5
LATENT_MS = round(1000 * LATENT_S)
WINDOW_MS = 5                        # libopus counts the offset to the end of its window (docs/reference/bitstream.md)
_BANDS_SILK = ("NB", "MB", "WB")
_BANDS_CELT = ("NB", "WB", "SWB", "FB")
_LIBRARY = {LIBOPUS_1_5: "libopus 1.5", LIBOPUS_1_6: "libopus 1.6"}


def toc_facts(packet: Packet) -> Toc:
    """Return the configuration, mode, bandwidth, frames and channels by the TOC byte (RFC 6716 section 3.1)."""
    config = packet.toc >> 3
    if config < 12:
        mode, band = "SILK", _BANDS_SILK[config // 4]
    elif config < 16:
        mode, band = "hybrid", ("SWB", "FB")[(config - 12) // 2]
    else:
        mode, band = "CELT", _BANDS_CELT[(config - 16) // 4]
    return {
        "config": config,
        "mode": mode,
        "bandwidth": band,
        "frames": len(packet.frames),
        "frame_ms": frame_samples_48k(packet.toc) / 48,
        "stereo": packet.stereo,
        "code": packet.toc & 3,
    }


class Inspector:
    """The inspection of packets one by one; the tables of a DRED version are loaded when a packet first needs them."""

    def __init__(self, symbols: bool = False) -> None:
        """Make an inspector; symbols: the quantised integers of state and latents are included."""
        self._symbols = symbols
        self._tables: dict[int, QuantTables | None] = {}
        self.notes: list[str] = []

    def packet(self, index: int, data: bytes) -> PacketEntry:
        """Return one entry of the JSON document; `dred` is None where there is none, and `no_dred` says why."""
        entry: PacketEntry = {
            "index": index, "bytes": len(data), "toc": None, "lbrr": None, "dred": None, "no_dred": None
        }  # fmt: skip
        try:
            packet = parse_packet(data)
        except ValueError as error:
            return {**entry, "no_dred": f"malformed packet: {error}"}
        entry["toc"], entry["lbrr"] = toc_facts(packet), packet_has_lbrr(data)
        try:
            extension, reason = _find_dred(packet)
        except ValueError as error:
            return {**entry, "no_dred": f"malformed padding: {error}"}
        if extension is None:
            return {**entry, "no_dred": reason}
        unit_offset = extension.frame * frame_samples_48k(packet.toc) // 120
        return {**entry, "dred": self._dred(extension, unit_offset), "no_dred": None}

    def _dred(self, extension: Extension, frame_offset: int) -> Dred:
        version = extension.data[1]
        size = len(extension.data) - (PREFIX_BYTES if extension.id == STANDARD_ID else 0)
        found: Dred = {
            "version": version, "q0": None, "dq": None, "qmax": None, "offset": None, "latents": None,
            "span_ms": None, "begins_ms": None, "ends_ms": None, "bytes": size, "bits_per_latent": None,
            "frame": extension.frame, "reason": None,
        }  # fmt: skip
        if version not in VERSIONS:
            return {**found, "reason": f"version {version} is unknown: nothing behind it can be read"}
        payload = extension.data[2:]
        try:
            header = parse_header(payload, version)
        except ValueError as error:
            return {**found, "reason": f"damaged: {error}"}
        offset = header.offset + frame_offset
        found["q0"], found["dq"], found["qmax"], found["offset"] = header.q0, header.dq, header.qmax, offset
        tables = self._find_tables(version)
        if tables is None:
            library = _LIBRARY.get(version, "its sender")
            return {**found, "reason": f"no model for version {version} ({library}): see `dredge models import`"}
        try:
            decoded = decode_payload(payload, tables)
        except ValueError as error:
            return {**found, "reason": f"damaged, or made by another model of version {version}: {error}"}
        return {**found, **self._span(decoded, offset, version)}

    def _span(self, decoded: DecodedPayload, offset: int, version: int) -> Span:
        """Return the time that the latents cover, in ms from the packet's first decoded sample."""
        count = len(decoded.latents)
        ends = UNIT_MS * offset - (0 if version == DRED_VERSION else WINDOW_MS)
        bits = int(decoded.tells[-1] - decoded.tells[0])
        facts: Span = {
            "latents": count,
            "span_ms": LATENT_MS * count,
            "begins_ms": ends - LATENT_MS * count,
            "ends_ms": ends,
            "bits_per_latent": round(bits / count, 2) if count else None,
        }
        if self._symbols:
            facts["state_symbols"] = decoded.state_symbols.tolist()
            facts["latent_symbols"] = decoded.latent_symbols.tolist()
        return facts

    def _find_tables(self, version: int) -> QuantTables | None:
        if version not in self._tables:
            try:
                model = modelset.find(version)
                self._tables[version] = model.tables if model else None
            except ModelError as error:
                self._tables[version] = None
                self.notes.append(str(error))
        return self._tables[version]


def _find_dred(packet: Packet) -> tuple[Extension | None, str]:
    """Return the first DRED extension, its data with the prefix that id 32 leaves out, or why there is none."""
    if packet.padding is None:
        return None, "no padding"
    found = parse_extensions(packet.padding, len(packet.frames))
    if not found:
        return None, f"{len(packet.padding)} bytes of padding, no extension in it"
    for extension in found:
        data = carried(extension.id, extension.data)
        if data is not None:
            return extension._replace(data=data), ""
    if any(extension.id == DRED_EXTENSION_ID for extension in found):
        return None, f"extension {DRED_EXTENSION_ID} does not begin with 'D' and a version"
    ids = ", ".join(str(number) for number in sorted({extension.id for extension in found}))
    return None, f"extension {ids}, not {DRED_EXTENSION_ID} or {STANDARD_ID}"
