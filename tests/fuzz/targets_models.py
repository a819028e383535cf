# SPDX-License-Identifier: BSD-2-Clause
"""Model files: libopus blobs and tables, vocoder weights, TFLite graphs, manifests."""

from __future__ import annotations

import functools
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from blob_cases import BlobWriter, c_source, made_up_decoder, made_up_encoder, made_up_tables, record
from numpy.typing import NDArray
from target import Plan, Target, check, piece

from dredge_kernels.lpcnet import Lpcnet
from dredge_kernels.lpcnet_weights import checked
from dredge_models import modelset, registry
from dredge_models.libopus import importer
from dredge_models.libopus import tables as libopus_tables
from dredge_models.libopus.blob import BlobError, read_blob
from dredge_models.libopus.layers import Layers
from dredge_models.npz import read_arrays
from dredge_models.registry import ModelError
from dredge_models.tflite.matrix import Int8Rows
from dredge_models.vocoder import vocoder_arrays

SIZES = ((8, 8), (16, 24), (4, 8), (40, 16))
KINDS_OF_EDIT = 6


def run_blob(data: bytes) -> bool:
    """Weight blobs: what is read can be written and read again, and layers out of it are finite."""
    try:
        records = read_blob(data)
    except BlobError:
        return False
    again = read_blob(b"".join(record(r.name, r.values, r.kind) for r in records.values()))
    check(list(again) == list(records), "records written again have other names")
    layers = Layers(records)
    for name in {n.rsplit("_weights", 1)[0] for n in records}:
        for inputs, outputs in SIZES:
            try:
                layer = layers.linear(name, inputs, outputs)
            except BlobError:
                continue
            check(layer.weight.shape == (outputs, inputs) and layer.bias.shape == (outputs,), "a wrong shape")
            check(bool(np.isfinite(layer.dense()).all()), "weights that are no numbers")
            check(isinstance(layer.weight, np.ndarray | Int8Rows), "an unknown matrix")
    layers.unused()
    return True


def seeds_blob() -> list[bytes]:
    out = []
    for kind, (inputs, outputs) in zip(("floats", "dense", "sparse"), SIZES, strict=False):
        writer = BlobWriter(1)
        getattr(writer, kind)("a", inputs, outputs)
        out.append(writer.blob())
    return out


def run_tables(data: bytes) -> bool:
    """Quantiser tables as C source or .npz."""
    libopus_tables.is_tables(data)
    try:
        tables = libopus_tables.read_tables(data)
    except BlobError:
        return False
    check(tables.latent.shape[:2] == (4, 16) and int(tables.latent[3].min()) > 0, "impossible tables")
    return True


def seeds_tables() -> list[bytes]:
    tables = made_up_tables()  # other widths belong to no version
    return [c_source(tables).encode(), importer._npz(tables)]


def run_npz(data: bytes) -> bool:
    """Arrays out of a zip file: as many bytes as are there, never objects; raw, or with any header in a sound zip."""
    plan = Plan(data)
    content = plan.rest() if plan.below(2) else _zipped(plan)
    try:
        arrays = read_arrays(content)
    except ValueError as error:
        check(bool(str(error)), "refused without a word")
        return False
    check(not any(array.dtype.hasobject for array in arrays.values()), "an array of objects")
    return bool(arrays)


def _zipped(plan: Plan) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        while plan:
            text, body = plan.piece(), plan.piece()
            head = b"\x93NUMPY" + bytes([1 + plan.below(3), plan.below(2)]) + len(text).to_bytes(2, "little") + text
            archive.writestr(f"a{len(archive.namelist())}.npy", head + body)
    return buffer.getvalue()


def seeds_npz() -> list[bytes]:
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"
    text = b"{'descr': '<U2', 'fortran_order': True, 'shape': (), }\n"
    raw = io.BytesIO()
    np.savez_compressed(raw, a=np.zeros((4, 4), np.int8), config=np.array("text"))
    return [b"\0" + piece(head) + piece(bytes(24)) + bytes(2) + piece(text) + piece(bytes(8)) + bytes(2),
            b"\1" + raw.getvalue()]  # fmt: skip


@functools.cache
def _model() -> dict[str, bytes]:
    """The records of a made-up model by name."""
    return made_up_encoder().records | made_up_decoder().records


def run_importer(data: bytes) -> bool:
    """A whole model with a few records edited, through the importer up to the matrices that graphs are made of."""
    plan, records = Plan(data), dict(_model())
    names = sorted(records)
    while plan:
        name = names[plan.number(2) % len(names)]
        if name in records:
            records[name] = _edited_record(plan, records[name])
            if not records[name]:
                del records[name]
    with tempfile.TemporaryDirectory() as folder:
        blob, tables = Path(folder) / "model.bin", Path(folder) / "tables.c"
        blob.write_bytes(b"".join(records.values()))
        tables.write_text(c_source(made_up_tables()))
        try:
            _, encoder, decoder, _ = importer._parts(importer.read_sources([tables, blob]))
        except BlobError:
            return False
    for layer in (encoder.latent, encoder.state, decoder.first, decoder.out, decoder.start):
        check(bool(np.isfinite(layer.dense()).all()), "weights that are no numbers")
    return True


def _edited_record(plan: Plan, data: bytes) -> bytes:
    out, kind, at = bytearray(data), plan.below(4), plan.number(3)
    if kind == 0:
        out[at % 64] = plan.number()                  # the header
    elif kind == 1:
        value = plan.take(4)
        begin = 64 + at % max(1, len(out) - 64)
        out[begin : begin + len(value)] = value
    elif kind == 2:
        del out[64 + at % len(out) :]
    else:
        return b""
    return bytes(out)


def seeds_importer() -> list[bytes]:
    return [b"", bytes([0, 3, 0, 0, 0, 20, 7]), bytes([0, 9, 1, 0, 1, 0, 0, 0, 200, 66]), bytes([0, 30, 3, 0, 0, 0])]


def run_vocoder(data: bytes) -> bool:
    """A vocoder's arrays edited: refused by name, or the kernel runs on them and stays within int16."""
    plan, arrays = Plan(data), dict(vocoder_arrays("small"))
    while plan:
        name = sorted(arrays)[plan.below(len(arrays))]
        _edit(plan, arrays, name)
    try:
        sound = checked(arrays)
    except ValueError:
        return False
    with np.errstate(all="ignore"):
        pcm = Lpcnet(sound, "scalar").synthesise(np.zeros((5, 20), np.float32))
    check(pcm.dtype == np.int16 and pcm.shape == (160,), "a frame that is not 10 ms of int16")
    return True


def _edit(plan: Plan, arrays: dict[str, NDArray], name: str) -> None:
    """Another value, shape or type, or nothing at all in its place."""
    array, kind = np.array(arrays[name]), plan.below(KINDS_OF_EDIT)
    if kind == 0 and array.size:
        raw = array.reshape(-1).view(np.uint8)
        raw[plan.number(3) % len(raw)] = plan.number()
    elif kind == 1 and array.size:
        values = (0, 1, -1, 127, -128, 255, 65504.0, 3e38, np.inf, np.nan)
        with np.errstate(all="ignore"):
            value = np.float64(values[plan.below(len(values))]).astype(array.dtype)
        array.reshape(-1)[plan.number(3) % array.size] = value
    elif kind == 2:
        array = array[: plan.number(2)]
    elif kind == 3:
        array = np.repeat(array, 1 + plan.below(3), axis=-1) if array.ndim else array
    elif kind == 4:
        array = array.astype(("i1", "u1", "u2", "f2", "f4", "f8", "i8")[plan.below(7)], casting="unsafe")
    else:
        array = array.reshape(-1) if plan.below(2) else array[None]
    arrays[name] = array


def seeds_vocoder() -> list[bytes]:
    plans = ([], [3, 0, 0, 1, 0, 99], [5, 1, 0, 0, 7, 4], [9, 2, 0, 40], [12, 4, 3, 2, 5, 1])
    return [bytes(plan) for plan in plans]


def run_manifest(data: bytes) -> bool:
    """A model folder whose manifest is anything at all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        folder.mkdir()
        (folder / "manifest.json").write_bytes(data)
        (folder / "a.npz").write_bytes(b"x")
        try:
            content = registry.read_manifest(folder)
        except ModelError:
            content = {}
        problems = registry.verify(folder)
        check(all(isinstance(str(p), str) for p in problems), "a problem that cannot be told")
        try:
            modelset._open(folder)
            modelset._checked(folder, "a.npz")
        except ModelError:
            return False
    return bool(content)


def _manifest(files: list[Mapping[str, object]]) -> bytes:
    return json.dumps({"format": 1, "models": {}, "files": files}).encode()


def seeds_manifest() -> list[bytes]:
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    entry = {"file": "a.npz", "model": "m", "kind": "tables", "bytes": 1, "sha256": digest, "version": 10}
    names = ("a.npz", modelset.ENCODER, modelset.DECODER, modelset.START, modelset.TABLES)
    whole = _manifest([entry | {"file": name} for name in names])
    return [_manifest([entry]), _manifest([entry | {"bytes": 2}]), whole]


TARGETS = (
    Target("blob", "libopus weight blobs and their layers", run_blob, seeds_blob, words=(b"DNNw", b"_weights_int8"),
           limit=8192, repeat=150),
    Target("tables", "quantiser tables as C source or .npz", run_tables, seeds_tables,
           words=(b"dred_latent_", b"{", b"PK\3\4", b"'shape'"), limit=8192, repeat=150),
    Target("npz", "arrays in .npz files", run_npz, seeds_npz, limit=4096, repeat=100,
           words=(b"'descr'", b"'|O'", b"(1000000000000,)", b"PK\1\2", b"'shape'", b"((((((((")),
    Target("importer", "model import from an edited libopus model", run_importer, seeds_importer, limit=200, repeat=3),
    Target("vocoder", "LPCNet weights: checks and kernel", run_vocoder, seeds_vocoder, limit=200, repeat=10,
           native=True),
    Target("manifest", "manifests of model folders", run_manifest, seeds_manifest,
           words=(b'"files"', b'"sha256"', b"[[[[", b"1e999", b"null"), limit=2048, repeat=100),
)  # fmt: skip
