# SPDX-License-Identifier: BSD-2-Clause
"""`make test` installs the extra dev alone: what other extras bring is imported behind pytest.importorskip."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
#: Distributions whose module has another name.
MODULES = {"paho-mqtt": "paho", "mkdocs-material": "material"}


def names(extra):
    return {re.split(r"[\[><=; ]", line)[0] for line in EXTRAS[extra]}


#: Modules of extras that dev does not bring (rich and others belong to the base installation).
OPTIONAL = {
    MODULES.get(name, name.replace("-", "_"))
    for extra in EXTRAS for name in names(extra) - names("dev") - names("import") - {"rich", "dredge-audio"}
}  # fmt: skip


def unguarded(source):
    """Optional modules that the body of a module imports before it has asked for them."""
    asked, found = set(), set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & OPTIONAL - asked
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module.split(".")[0]} & OPTIONAL - asked
        else:
            asked |= set(re.findall(r"importorskip\(\s*[\"'](\w+)", ast.unparse(node)))
    return found


def test_no_test_needs_another_extra_to_be_collected():
    found = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        source = path.read_text()
        if "__main__" not in source and (wanted := unguarded(source)):  # programs are run where their extra is
            found[str(path.relative_to(ROOT))] = wanted
    assert not found, found


@pytest.mark.parametrize(("source", "wanted"), [
    ("import scipy.signal", {"scipy"}),
    ("from scipy.signal import lfilter", {"scipy"}),
    ("import pytest\npytest.importorskip('scipy')\nfrom scipy.signal import lfilter", set()),
    ("def f():\n    import scipy", set()),
    ("import numpy, click", set()),
])  # fmt: skip
def test_the_check_itself(source, wanted):
    assert unguarded(source) == wanted
