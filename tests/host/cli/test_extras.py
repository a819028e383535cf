# SPDX-License-Identifier: BSD-2-Clause
"""Optional packages: listed, named in messages, installed by pip of this interpreter."""

import json
import sys
from importlib.metadata import PackageNotFoundError

import pytest
from click.testing import CliRunner

from dredge_host import extras
from dredge_host.cli.main import cli
from dredge_host.errors import CapabilityError, UsageError, need

REQUIRES = [
    "numpy<2,>=1.23.2; python_version < '3.99'",
    "speechmos; extra == 'metrics'",
    "no-such-package>=2; extra == 'metrics'",
    "pytest>=8; extra == 'dev'",
    "dredge-audio[import]; extra == 'dev'",
    "no-flatbuffers; extra == 'import'",
    "old-only; python_version < '3' and extra == 'import'",
]


class Metadata(dict):
    def get_all(self, name):
        return ["metrics", "import", "dev"]


@pytest.fixture
def installed(monkeypatch):
    """A distribution with three extras; only what its test environment has anyway is installed."""

    def metadata(name):
        if name == extras.DISTRIBUTION:
            return Metadata()
        if name.startswith("no-") or name == "speechmos":
            raise PackageNotFoundError(name)
        return {"Version": "9.0"}

    monkeypatch.setattr(extras, "requires", lambda name: REQUIRES)
    monkeypatch.setattr(extras, "metadata", metadata)


def test_an_extra_names_its_packages_and_those_of_the_extras_in_it(installed):
    assert extras.names() == ["dev", "import", "metrics"]
    assert extras.requirements("metrics") == ["speechmos", "no-such-package>=2"]
    assert extras.requirements("dev") == ["pytest>=8", "no-flatbuffers"]
    assert extras.missing("dev") == ["no-flatbuffers"]
    with pytest.raises(UsageError, match="extra is 'metric', expected one of dev, import, metrics"):
        extras.requirements("metric")


def test_adding_runs_pip_of_this_interpreter_and_keeps_numpy(installed, monkeypatch):
    asked = []

    class Done:
        returncode = 0

    monkeypatch.setattr(extras.subprocess, "run", lambda command, check: asked.append(command) or Done)
    assert extras.add("metrics", dry_run=True) == ["speechmos", "no-such-package>=2"] and asked == []
    assert extras.add("metrics") == ["speechmos", "no-such-package>=2"]
    assert asked[0][:4] == [sys.executable, "-m", "pip", "install"]
    assert asked[0][-3:] == ["speechmos", "no-such-package>=2", "numpy<2,>=1.23.2"]
    Done.returncode = 1
    with pytest.raises(CapabilityError, match="pip could not install speechmos, no-such-package>=2"):
        extras.add("metrics")


def test_the_command_lists_and_adds(installed):
    document = json.loads(CliRunner().invoke(cli, ["extras", "--json"]).stdout)
    assert document["schema"] == "dredge.extras/1"
    assert [(e["name"], e["installed"]) for e in document["extras"]] == [
        ("dev", False), ("import", False), ("metrics", False),
    ]  # fmt: skip
    done = CliRunner().invoke(cli, ["extras", "add", "metrics", "--dry-run"])
    assert done.exit_code == 0 and done.stdout == "would install speechmos, no-such-package>=2\n"


def test_a_message_names_the_command_that_mends_it():
    with pytest.raises(CapabilityError, match=r"a picture needs no-such \(.*\); run `dredge extras add report`"):
        need("no_such.module", "a picture", "report")


def test_a_checkout_that_was_never_installed_says_so(monkeypatch):
    def none(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "metadata", none)
    with pytest.raises(CapabilityError, match=r"dredge-audio is not installed for .*; run `make setup`"):
        extras.names()
