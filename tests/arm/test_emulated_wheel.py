# SPDX-License-Identifier: BSD-2-Clause
"""The arm64 wheel in Debian userlands on emulated Raspberry Pi processors (make test-arm prepares them)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache

import emulated
import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.skipif(not emulated.lands(), reason="needs an arm64 userland: make test-arm")
PLACES = emulated.places()
NAMES = ["-".join(place) for place in PLACES]
each_place = pytest.mark.parametrize("place", PLACES, ids=NAMES)
arm = cache(emulated.facts)
here = cache(emulated.native_facts)


@each_place
def test_wheel_is_what_runs_at_the_level_of_its_processor(place):
    where = arm(*place)["where"]
    site = str(emulated.lands()[place[0]].absolute() / "site")
    assert where["machine"] == "aarch64"
    assert all(file.startswith(site) for file in where["files"])
    assert where["levels"] == emulated.LEVELS[place[1]]
    assert where["problems"] == []


@each_place
def test_what_is_defined_exactly_is_equal_to_this_machine(place):
    there = arm(*place)
    for name in ("features", "payload", "vocoder", "decoded_shape", "played_samples"):
        assert there[name] == here()[name], name


@each_place
def test_recovery_decides_the_same(place):
    assert arm(*place)["frames"] == here()["frames"]
    assert arm(*place)["frames"]["dred"] > 0


@each_place
def test_networks_agree_up_to_rounding(place):
    """XNNPACK sums in another order per processor; the decoded features are of the order of 10."""
    np.testing.assert_allclose(arm(*place)["decoded"], here()["decoded"], atol=2e-3)
    assert arm(*place)["played_rms"] == pytest.approx(here()["played_rms"], rel=0.02)


@each_place
def test_agent_there_talks_to_host_tool_here(place, tmp_path):
    pcm, rate = soundfile.read(emulated.SPEECH, dtype="int16")
    soundfile.write(tmp_path / "in.wav", pcm[: 2 * rate], rate)
    program, environment = emulated.command(emulated.lands()[place[0]], place[1])
    listen = ["--listen", "udp://127.0.0.1:0", "--once", "--out", str(tmp_path / "out.wav")]
    agent = subprocess.Popen(
        [*program, "-m", "dredge_device", *listen], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = agent.stdout.readline()
        assert line.startswith("listening udp://"), line + agent.communicate(timeout=60)[1]
        done = subprocess.run(
            [sys.executable, "-m", "dredge_host", "stream", str(tmp_path / "in.wav"), "--to", line.split()[1], "--json",
             "--loss", "gilbert:rate=20%,burst=4", "--seed", "3"],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        agent.wait(120)
    finally:
        agent.kill()
        agent.communicate()
    result = json.loads(done.stdout)
    text = json.dumps(result)
    assert f'"{emulated.LEVELS[place[1]][-1]}"' in text, "the device's level is not in the report"
    # How much of it was played depends on the speed of the emulation; that it decodes right is tested above.
    assert soundfile.info(tmp_path / "out.wav").frames > 0


MODULE_PLACES = [place for place in PLACES if place in (("bookworm", "cortex-a53"), ("trixie", "cortex-a76"))]


@pytest.mark.skipif(emulated.is_short(), reason="needs time: make test-arm without --short")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("place", MODULE_PLACES, ids=["-".join(place) for place in MODULE_PLACES])
def test_kernel_and_model_tests_pass_there(place, tmp_path):
    emulated.copy_tests(tmp_path)
    _, environment = emulated.command(emulated.lands()[place[0]], place[1])
    path = os.pathsep.join([environment["PYTHONPATH"], str(emulated.INSIDE)])
    said = emulated.run(
        *place, "-m", "pytest", "-p", "no_programs", "-p", "no:cacheprovider", "-o", "addopts=-q",
        "-o", "timeout=1500",
        *[f"tests/{name}" for name in emulated.TEST_FILES], cwd=tmp_path, more={"PYTHONPATH": path},
    )  # fmt: skip
    passed = int(said.split(" passed")[0].split()[-1])
    print(f"{'-'.join(place)}: {passed} tests passed under emulation")
    assert passed > 100
