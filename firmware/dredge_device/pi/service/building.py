# SPDX-License-Identifier: BSD-2-Clause
"""The parts of a device process, made from its options: receivers, access, outputs."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from dredge_device.pi.calibration.calibration import Calibration, calibrate, default_places, kept, key_of
from dredge_device.pi.calibration.costs import PeriodCosts
from dredge_device.pi.factory import ModelCache, real_parts
from dredge_device.pi.input import sdp
from dredge_device.pi.input.opus_abilities import opus_abilities
from dredge_device.pi.input.payloads import NOT_AGREED, PayloadTypes
from dredge_device.pi.machine import Machine
from dredge_device.pi.output.interface import SPEECH, Format
from dredge_device.pi.output.open import is_file, open_output
from dredge_device.pi.output.threaded import ThreadedOutput
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.schema.documents import SessionRequest
from dredge_device.pi.security import session_keys
from dredge_device.pi.security.access import Access, KeyedAccess, OpenAccess
from dredge_device.pi.security.static_access import StaticAccess
from dredge_device.pi.service.options import AUTO, Options, SessionOptions
from dredge_device.pi.transport.endpoint import is_local
from dredge_models import modelset, vocoders
from dredge_models.registry import STANDARD_ID, STANDARD_VERSION

_SPARE_MEMBERS = 8  # holders of the key beside those of running streams, which are told why they get no stream


@cache
def _without_vocoder(name: str) -> str:
    """Return why this vocoder is not available, "" if it is; looked up once per process."""
    return vocoders.missing(name)


def check_options(options: SessionRequest) -> None:
    """Raise ValueError with a sentence for the host unless a receiver can have these options; nothing is built."""
    wanted = SessionOptions.checked(options)
    why = _without_vocoder(wanted.known_vocoder())
    if not why and wanted.opus_complexity:
        why = opus_abilities().missing(wanted.opus_complexity)
    if why:
        raise ValueError(why)


def description_of(options: Options) -> sdp.Description:
    """Return the session description for plain RTP streams. Raises OSError and ValueError for the file of ``sdp``."""
    types = NOT_AGREED
    if options.payload_type is not None:
        types = PayloadTypes(frozenset([options.payload_type]))
    if options.sdp is None:
        return sdp.Description(types)
    with open(options.sdp, encoding="utf-8", errors="replace") as file:
        text = file.read(sdp.LARGEST + 1)
    try:
        found = sdp.parse(text)
    except ValueError as error:
        raise ValueError(f"{options.sdp}: {error}") from None
    return found if options.payload_type is None else replace(found, types=types)


def history_notes(options: Options, agreed: sdp.Description) -> list[str]:
    """Return sentences about limits that keep this process from using all the redundancy of the session description."""
    if not agreed.history_ms:
        return []
    said = []
    if STANDARD_VERSION not in modelset.versions():
        said.append(
            f"the sender's redundancy (extension {STANDARD_ID}) is of version {STANDARD_VERSION}, of which there is no "
            "model here: see `dredge models import`"
        )
    if options.conceal == "dred" and agreed.history_ms > options.playout_ms:
        said.append(
            f"the sender's redundancy reaches {agreed.history_ms} ms back, with a playout delay of at most "
            f"{options.playout_ms} ms no more than that is used; --playout fixed:{agreed.history_ms} uses all"
        )
    return said


def make_receiver(
    options: SessionRequest, models: ModelCache, types: PayloadTypes = NOT_AGREED, form: Format = SPEECH
) -> Receiver:
    """Return the receiver a session asks for. Raises ValueError with a sentence for the host, and the models' errors.
    """
    wanted = SessionOptions.checked(options)
    parts = real_parts(wanted.conceal, wanted.known_vocoder(), models, wanted.opus_complexity)
    return Receiver(
        wanted.playout_ms, wanted.conceal, wanted.lbrr, adaptive=wanted.adaptive, parts=parts, payload_types=types,
        form=form,
    )  # fmt: skip


def calibration_for(vocoder: str, machine: Machine) -> Calibration | None:
    """Return this machine's calibration: measured if the vocoder is AUTO and none is kept; otherwise the kept one or
    None.
    """
    places = default_places()
    if vocoder == AUTO:
        return calibrate(machine, places=places)
    return kept(key_of(machine), places) if any(path.exists() for path in places) else None


def expected_costs(vocoder: str, calibration: Calibration | None) -> tuple[PeriodCosts | None, PeriodCosts | None]:
    """Return the expected costs of periods with this vocoder and with the one of level SMALL, as far as they were
    measured.
    """
    if calibration is None or vocoder not in calibration.costs:
        return None, None
    return calibration.costs[vocoder], calibration.costs.get(vocoders.VOCODERS[vocoder].stand_in)


def make_access(
    options: Options,
    static: bytes | None = None,
    rekeyed: Callable[[Any], None] | None = None,
    serving: Callable[[Any], bool] = lambda peer: False,
    warn: Callable[[str, str], None] = lambda kind, text: None,
) -> Access:
    """Return the access to this process.

    static: the key of a session description; ``rekeyed`` is called with a peer that has new keys; ``serving`` returns
    whether a peer is served; ``warn`` takes a kind and a line for the user.
    """
    if options.key_file is not None:
        key = session_keys.read_key(options.key_file)
        return KeyedAccess(key, options.streams + _SPARE_MEMBERS, rekeyed, serving, warn)
    if static is not None:
        return StaticAccess(static, warn)
    return OpenAccess(options.allow_remote and not is_local(options.listen), serving, warn)


def output_for(options: Options, index: int) -> ThreadedOutput:
    """Return the output of the stream with this index; files of the second stream are named FILE-s2.wav."""
    text = options.out
    if index and text.lower().endswith(".wav"):
        path = Path(text)
        text = str(path.with_name(f"{path.stem}-s{index + 1}{path.suffix}"))
    form = Format(options.rate, options.channels)
    output = open_output(text, options.rate, form, overwrite=options.overwrite, mode=options.file_mode)
    return ThreadedOutput(output, is_file=is_file(text))
