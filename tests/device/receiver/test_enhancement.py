# SPDX-License-Identifier: BSD-2-Clause
"""`--opus-complexity`: speech that libopus' networks enhance, where the library can and while there is time."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dredge_device.pi.factory import real_parts
from dredge_device.pi.input.enhanced_decoder import EnhancedDecoder
from dredge_device.pi.input.opus_abilities import OpusAbilities, opus_abilities
from dredge_device.pi.output.interface import CapabilityError
from dredge_device.pi.quality import CLOSED, FULL, SMALL
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.service.building import check_options
from dredge_device.pi.service.options import SessionOptions
from dredge_device.pi.service.streams.rendering import Rendering

OLD = OpusAbilities("libopus 1.3.1")
BARE = OpusAbilities("libopus 1.5.2", settable=True)
WHOLE = OpusAbilities("libopus 1.5.2", settable=True, deep_plc=True, enhancement=True)


class Decoder:
    """Says with which complexity it worked."""

    def __init__(self):
        self.complexity, self.calls = 0, []

    def set_complexity(self, value):
        self.calls.append(f"set {value}")
        self.complexity = value

    def _made(self, samples):
        return np.full(samples, self.complexity, np.int16)

    def decode(self, packet):
        return self._made(320)

    def decode_fec(self, packet, samples=320):
        return self._made(samples)

    def conceal(self, samples=320):
        return self._made(samples)

    def reset(self):
        self.calls.append("reset")


@pytest.mark.parametrize(("conceals", "concealed"), [(False, 0), (True, 7)])
def test_effort_goes_into_what_is_heard(conceals, concealed):
    decoder = Decoder()
    enhanced = EnhancedDecoder(decoder, 7, conceals)
    heard = [enhanced.decode(b"x")[0], enhanced.decode_fec(b"x")[0], enhanced.conceal()[0], enhanced.decode(b"x")[0]]
    assert heard == [7, 7, concealed, 7]
    assert decoder.calls == ["set 7"] if conceals else ["set 7", "set 0", "set 7"]
    enhanced.enabled = False
    assert [enhanced.decode(b"x")[0], enhanced.conceal()[0], enhanced.decode_fec(b"x")[0]] == [0, 0, 0]
    assert enhanced.report() == {"complexity": 7, "enhanced": 3 + conceals, "plain": 2 + conceals}


@pytest.mark.parametrize(
    ("abilities", "complexity", "words"),
    [
        (OLD, 0, ""), (OLD, 7, "needs libopus 1.5 or later (Debian 13), libopus 1.3.1 is here"),
        (BARE, 0, ""), (BARE, 5, "built without its networks"), (BARE, 7, "built without its networks"),
        (WHOLE, 0, ""), (WHOLE, 3, "do what 0 does; expected 5 to 10"), (WHOLE, 5, ""), (WHOLE, 6, ""), (WHOLE, 10, ""),
        (replace(WHOLE, enhancement=False), 5, ""), (replace(WHOLE, enhancement=False), 6, "without its networks"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(abilities, complexity, words):
    why = abilities.missing(complexity)
    assert words in why if words else why == ""


def test_the_best_complexity():
    assert [a.best for a in (OLD, BARE, replace(WHOLE, enhancement=False), WHOLE)] == [0, 0, 5, 7]


def test_a_session_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="libopus' complexity is 11, expected 0 to 10"):
        SessionOptions(opus_complexity=11)
    check_options({"opus_complexity": 0})
    if opus_abilities().best == 0:
        with pytest.raises(ValueError, match="leave --opus-complexity out"):
            check_options({"opus_complexity": 7})
        with pytest.raises(CapabilityError, match="leave --opus-complexity out"):
            real_parts("opus", opus_complexity=7)


class Desk:
    """What Rendering needs of a governor; level: what gaps are worth."""

    level = FULL

    def restart(self):
        self.level = FULL

    def quality(self, kind, spare_us, begun):
        return self.level

    def begin(self, *about):
        pass

    judge = rendered = begin


class Session:
    degraded, in_gap, clock, begun = 0, False, None, FULL

    def __init__(self, receiver):
        self.receiver, self.output, self.player = receiver, self, self

    def write(self, pcm, spoken, at_us):
        pass

    def played(self, *about):
        pass


def test_enhancement_is_the_first_thing_to_go_and_stays_away_until_nobody_is_served():
    parts = real_parts("opus")
    parts.enhancer = EnhancedDecoder(Decoder(), 7, True)
    session, desk = Session(Receiver(40, "opus", clock_us=lambda: 0, parts=parts)), Desk()
    rendering = Rendering(desk, lambda *failed: None, lambda: 0)
    seen = []
    for level in (FULL, FULL, SMALL, FULL, FULL, CLOSED):
        desk.level = level
        rendering.period([session], 0)
        seen.append(parts.enhancer.enabled)
    assert seen == [True, True, False, False, False, False]
    rendering.tick([], 0)
    rendering.period([session], 0)
    assert parts.enhancer.enabled


# With a real libopus of each kind ------------------------------------------------------------------

PROGRAM = """
import json, numpy as np
from dredge_device.pi.input.opus_abilities import opus_abilities
from dredge_host.offline.simulate import simulate
from dredge_host.sending.audio import bundled_clip, read_audio
from dredge_host.settings import Settings
with bundled_clip() as path:
    pcm = read_audio(path).pcm[:48000]
about = opus_abilities()
heard = {0: simulate(pcm, Settings(bitrate=9000)).pcm}
if about.best == 7:
    for complexity in (6, 7):
        heard[complexity] = simulate(pcm, Settings(bitrate=9000, opus_complexity=complexity)).pcm
    a, b = (heard[n].astype(float) for n in (0, 7))
    late = max(range(-40, 41), key=lambda k: np.dot(a[100:-100], b[100 + k : len(b) - 100 + k]))
    like = np.corrcoef(a, b)[0, 1]
else:
    late = like = None
print(json.dumps([about.version, about.best, len({h.tobytes() for h in heard.values()}), late, like]))
"""


def facts(folder=None):
    """What PROGRAM says with the libopus of a folder; None: the system's."""
    import json

    environment = {**os.environ, **({"LD_LIBRARY_PATH": str(folder)} if folder else {})}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_this_systems_libopus():
    version, best, different, late, _ = facts()
    assert (different, late) == ((3, 0) if best == 7 else (1, None))
    assert best in (0, 5, 7) and (best == 0 or not version.startswith(("libopus 1.3", "libopus 1.4")))


@pytest.mark.slow
def test_debian_13s_libopus(tmp_path):
    """Enhanced speech differs, is not delayed, and resembles what it is made of."""
    if shutil.which("dpkg") is None:
        pytest.skip("this system has no dpkg: Debian's packages are not for it")
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout
    root, script = tmp_path / "root", Path(__file__).resolve().parents[3] / "scripts" / "debian.py"
    words = [sys.executable, script, "only", "trixie", architecture.strip(), root, "libopus0"]
    unpacked = subprocess.run(words, capture_output=True, text=True, check=False)
    if unpacked.returncode:
        pytest.skip(f"this machine cannot fetch Debian 13's libopus0: {unpacked.stderr.strip()[-200:]}")
    (library,) = root.glob("usr/lib/*/libopus.so.0")
    version, best, different, late, like = facts(Path(library).parent)
    assert (version, best, different, late) == ("libopus 1.5.2", 7, 3, 0) and like > 0.8
