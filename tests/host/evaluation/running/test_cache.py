# SPDX-License-Identifier: BSD-2-Clause
"""Finished cells come back only when everything that decides them is the same."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from evaluate_fakes import SPEECH
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_host.errors import InputError, exit_code
from dredge_host.evaluation.judging.judges import load_judges, metric_versions, noise_of
from dredge_host.evaluation.material.clips import Clip
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.material.traces import crossed_traces
from dredge_host.evaluation.running import identity as identities
from dredge_host.evaluation.running.cache import Cache, cell_key, default_folder
from dredge_host.evaluation.running.identity import code_digest, identity

CLIP = Clip("a", "a", SPEECH)
SHORT, MEDIUM, _ = crossed_traces(0, 102, 1)
PLAN = Plan()
SAME = {"code": "c", "models": {"m": "1"}}
KEY = cell_key(PLAN, CLIP, SHORT, "dred", SAME)
CELL = {"loss_pct": 0.1 + 0.2, "frames": {"opus": 3}, "lag": [1e-17, 2.0]}


@pytest.mark.parametrize(
    "change",
    [
        {"clip": Clip("a", "a", SPEECH[1:])},
        {"clip": Clip("a", "a", SPEECH, english=False)},
        {"trace": MEDIUM},
        {"method": "dred_lbrr"},
        {"plan": replace(PLAN, bitrate=16000)},
        {"plan": replace(PLAN, scores=("estoi",))},
        {"plan": replace(PLAN, scores=("plcmos",))},
        {"plan": replace(PLAN, recogniser=None)},
        {"identity": {"code": "d", "models": {"m": "1"}}},
        {"identity": {"code": "c", "models": {"m": "2"}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_that_decides_a_result_changes_its_key(change):
    parts = {"plan": PLAN, "clip": CLIP, "trace": SHORT, "method": "dred", "identity": SAME}
    assert cell_key(**(parts | change)) != KEY


def test_what_does_not_decide_a_result_leaves_the_key():
    renamed = Clip("b@1", "b", SPEECH.copy())
    assert cell_key(replace(PLAN, seed=7, clips=3, crossed=False), renamed, SHORT, "dred", SAME) == KEY
    clean = [cell_key(PLAN, CLIP, trace, "clean", SAME) for trace in (SHORT, MEDIUM)]
    assert clean[0] == clean[1]


def test_a_peer_decides_what_it_does_itself_and_nothing_else():
    plans = [replace(PLAN, peer=peer) for peer in (None, "opus_demo", "another")]
    beside = [SAME, SAME | {"peer": "1"}, SAME | {"peer": "2"}]
    keys = {
        method: {cell_key(plan, CLIP, SHORT, method, same) for plan, same in zip(plans, beside, strict=True)}
        for method in ("dred", "peer_dred")
    }
    assert keys["dred"] == {KEY} and len(keys["peer_dred"]) == 3


def test_a_cell_comes_back_as_it_was(tmp_path):
    cache = Cache(tmp_path / "deep" / "cells")
    assert cache.get(KEY) is None
    cache.put(KEY, CELL)
    assert cache.get(KEY) == CELL and cache.get(KEY[::-1]) is None
    assert [p.name for p in (tmp_path / "deep" / "cells").rglob("*.*")] == [f"{KEY}.json"]


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_damaged_file_is_as_good_as_none(tmp_path_factory, data):
    cache = Cache(tmp_path_factory.mktemp("cells"))
    cache.put(KEY, CELL)
    (path,) = cache._folder.rglob("*.json")
    whole = path.read_bytes()
    damaged = bytearray(whole)
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(data.draw(st.sampled_from([bytes(damaged), whole[:at]])))
    assert cache.get(KEY) in (None, CELL)  # a changed blank or name may leave the content whole
    if path.read_bytes() == whole[:at]:
        assert cache.get(KEY) is None
    cache.put(KEY, CELL)
    assert cache.get(KEY) == CELL


@pytest.mark.parametrize("text", ["", "[]", "3", '{"key": "x"}', '{"key": null, "cell": 1, "sha256": 2}'])
def test_other_files_are_no_cells(tmp_path, text):
    cache = Cache(tmp_path)
    cache.put(KEY, CELL)
    next(tmp_path.rglob("*.json")).write_text(text)
    assert cache.get(KEY) is None


def test_without_a_folder_nothing_is_kept():
    cache = Cache(None)
    cache.put(KEY, CELL)
    assert cache.get(KEY) is None


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"Not a directory; it cannot be used as a cache, try --no-cache") as caught:
        Cache(tmp_path / "file" / "cells")
    assert exit_code(caught.value) == 2


def test_the_default_folder_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "dredge" / "evaluate"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert default_folder() == tmp_path / "me" / ".cache" / "dredge" / "evaluate"


def test_the_identity_names_code_models_and_metrics():
    found = identity(Plan(scores=(), recogniser=None))
    assert len(found["code"]) == 64 and "vocoder_standard.npz" in found["models"] and "opus" in found["opus"]
    assert list(found["metrics"]) == ["numpy"]
    wanted = metric_versions(Plan(recogniser="vosk", recogniser_model="/no/such/model"))
    assert {"speechmos", "onnxruntime", "pystoi", "scipy", "vosk", "recogniser model"} <= wanted.keys()


def test_any_changed_source_changes_the_digest(monkeypatch, tmp_path):
    (tmp_path / "c").mkdir()
    for name, text in (("one.py", "1"), ("two.py", "2")):
        (tmp_path / name).write_text(text)
    sources = [("one.py", tmp_path / "one.py"), ("two.py", tmp_path / "two.py")]
    monkeypatch.setattr(identities, "_sources", lambda first: iter(sources))
    first = code_digest.__wrapped__()
    sources.reverse()
    assert code_digest.__wrapped__() == first
    (tmp_path / "two.py").write_text("3")
    assert code_digest.__wrapped__() != first


def test_the_digest_covers_everything_that_a_cell_loads(tmp_path):
    """The modules of a process that measured one cell, with every kind of method and metric, are all in the digest."""
    program = textwrap.dedent("""
        import sys
        import numpy as np
        from dredge_host.evaluation.material.clips import Clip
        from dredge_host.evaluation.material.plan import Plan
        from dredge_host.evaluation.material.traces import recorded_trace
        from dredge_host.evaluation.judging.judges import Judges
        from dredge_host.evaluation.running.cell import CellRunner

        pcm = (8000 * np.sin(np.arange(16000) / 9) * np.hanning(16000)).astype(np.int16)
        clip, trace = Clip("a", "a", pcm), recorded_trace("a", [n % 7 == 0 for n in range(60)])
        judges = Judges({"plcmos": lambda a, b: 3.0, "estoi": lambda a, b: 0.5}, lambda pcm: ["word"])
        runner = CellRunner(Plan(), judges)
        for method in ("clean", "silence", "red", "dred"):
            runner.measure(clip, trace, method)
        print(*(module.__file__ for name, module in sys.modules.items() if name.startswith("dredge_")))
    """)
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    paths = [path for _, path in identities._sources(identities.FIRST)]
    assert len(paths) == len(set(paths))
    python = {Path(name) for name in loaded if name.endswith(".py")}
    assert len(python) > 50 and python <= set(paths)
    kernels = {Path(name).name.partition(".")[0] for name in loaded if not name.endswith(".py")}
    assert kernels <= {path.stem for path in paths if path.suffix == ".pyx"}


def test_an_import_in_a_function_and_a_new_module_are_found(tmp_path):
    package = tmp_path / "shop"
    (package / "till").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "till" / "__init__.py").write_text("")
    (package / "first.py").write_text("def f():\n    from shop.till import count\n    import json\n")
    (package / "till" / "count.py").write_text("from shop import first\nfrom shop.missing import nothing\n")
    (package / "other.py").write_text("import shop.first\n")
    found = {path.relative_to(package).as_posix() for path in identities.import_closure("shop.first", package)}
    assert found == {"__init__.py", "first.py", "till/__init__.py", "till/count.py"}


def test_a_recognisers_model_is_known_by_its_files(tmp_path):
    def digest():
        return metric_versions(Plan(recogniser="vosk", recogniser_model=str(tmp_path)))["recogniser model"]

    (tmp_path / "a.bin").write_bytes(b"1")
    first = digest()
    assert digest() == first
    (tmp_path / "a.bin").write_bytes(b"22")
    assert digest() != first


def test_nobody_judges_a_plan_without_metrics():
    judges = load_judges(Plan(scores=(), recogniser=None))
    assert (judges.scores, judges.hear, noise_of(judges, SPEECH)) == ({}, None, None)


def test_the_real_judges_judge():
    for package in ("speechmos", "onnxruntime", "pocketsphinx", "pystoi"):
        pytest.importorskip(package, reason=f"needs {package}: dredge extras add metrics")
    judges = load_judges(Plan())
    assert 1.0 <= judges.scores["plcmos"](SPEECH, SPEECH) <= 5.0
    assert judges.scores["estoi"](SPEECH, SPEECH) == pytest.approx(1.0)
    assert isinstance(judges.hear(SPEECH), list)
