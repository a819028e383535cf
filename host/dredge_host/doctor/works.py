# SPDX-License-Identifier: BSD-2-Clause
"""Checks by use and not by installation: speech is recovered, files are written and sockets are opened."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path

import numpy as np

from dredge_device.pi.calibration.calibration import calibrate, default_places
from dredge_device.pi.calibration.measure import measure
from dredge_device.pi.machine import Machine
from dredge_device.units import SAMPLE_RATE
from dredge_host.doctor.finding import FAIL, INFO, OK, WARN, Finding
from dredge_host.errors import sentence

_SECONDS = 1.2
RUNTIME = "pip install tflite-runtime 'numpy<2' (Python <= 3.11) or ai-edge-litert"


def recovery() -> Finding:
    """Return the finding of one second of speech through encoder, models, a gap of 100 ms and the receiver."""
    from dredge_host.offline.simulate import simulate
    from dredge_host.sending.loss import parse_loss
    from dredge_host.settings import Settings
    from dredge_models.registry import ModelError

    t = np.arange(int(SAMPLE_RATE * _SECONDS)) / SAMPLE_RATE
    speech = np.rint(6000 * np.sin(2 * np.pi * 200 * t) * (1 + 0.5 * np.sin(2 * np.pi * 4 * t))).astype(np.int16)
    try:
        run = simulate(speech, Settings(playout_ms=400), loss=parse_loss("burst:ms=100,every=1s", 1))
    except (ModelError, ImportError, RuntimeError, ValueError, OSError) as error:
        text = sentence(error)
        advice = RUNTIME if "numpy" in text.lower() or "runtime" in text.lower() else "reinstall the package"
        return Finding("recovery", FAIL, text, advice)
    recovered = run.result["frames"]["dred"]
    if not recovered:
        return Finding("recovery", FAIL, "lost speech was not recovered", "reinstall the package")
    return Finding("recovery", OK, f"{20 * recovered} ms of lost speech came back from redundancy")


def calibration(machine: Machine) -> Finding:
    """Return the finding of two seconds of the receive path; `dredge agent --vocoder auto` uses the kept figures."""
    found = calibrate(machine, measure, default_places(), anew=True)
    choice = found.choice
    advice = "" if choice.fits else "serve one stream; see clock, governor and temperature above"
    return Finding("calibration", OK if choice.fits else WARN, found.line(), advice, found.as_dict())


def audio_files() -> Finding:
    """Return the finding about writing and reading FLAC and WAV, and about soxr, which other rates need."""
    import soundfile

    pcm = np.arange(-400, 400, dtype=np.int16)
    for form in ("WAV", "FLAC"):
        buffer = io.BytesIO()
        soundfile.write(buffer, pcm, SAMPLE_RATE, "PCM_16", format=form)
        buffer.seek(0)
        if not np.array_equal(soundfile.read(buffer, dtype="int16")[0], pcm):
            return Finding("audio files", FAIL, f"{form} does not come back as it was written", "reinstall soundfile")
    version = f"libsndfile {soundfile.__libsndfile_version__}"
    try:
        import soxr

        soxr.resample(pcm.astype(np.float32), 48000, SAMPLE_RATE)
    except ImportError:
        return Finding("audio files", OK, f"{version}; no soxr: 16 kHz files only")
    return Finding("audio files", OK, f"{version}, soxr {soxr.__version__}")


def network() -> Finding:
    """Return the finding of a datagram from one socket of this machine to another, by IPv4 and IPv6."""
    families = {"IPv4": (socket.AF_INET, "127.0.0.1"), "IPv6": (socket.AF_INET6, "::1")}
    passed = [name for name, (family, address) in families.items() if _passes(family, address)]
    if not passed:
        return Finding("network", FAIL, "no UDP datagram reaches this machine's own address", "see the firewall rules")
    if "IPv4" not in passed:
        return Finding("network", WARN, "UDP over IPv6 only", "listen on udp://[::1]:5004 instead of 127.0.0.1")
    return Finding("network", OK, "UDP over " + " and ".join(passed))


def _passes(family: int, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as far, socket.socket(family, socket.SOCK_DGRAM) as near:
            far.bind((address, 0))
            far.settimeout(1.0)
            near.sendto(b"dredge", far.getsockname())
            return far.recv(16) == b"dredge"
    except OSError:
        return False


def user_folders() -> Finding:
    """Return the findings about the folders of imported models and finished measurements; both are optional."""
    from dredge_host.evaluation.running.cache import default_folder
    from dredge_models.modelset import user_folder

    places = [("imported models", user_folder()), ("cache", default_folder())]
    lacking = [name for name, folder in places if folder is None or not _writable(folder)]
    if lacking:
        advice = "set HOME, or XDG_DATA_HOME and XDG_CACHE_HOME, to folders of this user"
        return Finding("user folders", INFO, f"no place for {' and '.join(lacking)} (optional)", advice)
    return Finding("user folders", OK, ", ".join(str(folder) for _, folder in places))


def _writable(folder: Path) -> bool:
    """Return whether the folder is, or could be made, writable."""
    for place in (folder, *folder.parents):
        try:
            if place.exists():
                return os.access(place, os.W_OK | os.X_OK)
        except OSError:
            return False
    return False
