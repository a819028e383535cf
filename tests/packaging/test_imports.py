# SPDX-License-Identifier: BSD-2-Clause
"""Imports of the four packages: no circles, no arrow that runs up, and files and folders of a size to be read."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# From the bottom to the top; a package may import itself and those before it.
PACKAGES = {
    "dredge_kernels": ROOT / "cython_kernels/dredge_kernels",
    "dredge_models": ROOT / "models/dredge_models",
    "dredge_device": ROOT / "firmware/dredge_device",
    "dredge_host": ROOT / "host/dredge_host",
}
LEVEL = {name: level for level, name in enumerate(PACKAGES)}
LARGEST_FILE = 400
LARGEST_FOLDER = 12
LARGEST_CLASS = 150
# kernels: one name per kernel, as it is imported; device: the portable core, flat because boards copy it file by file.
LARGE_FOLDERS = {"dredge_kernels", "dredge_device"}
OFFLINE_NEVER_LOADS = ("dredge_host.live", "dredge_host.links", "dredge_host.cli", "serial", "click", "rich")


def _modules():
    found = {}
    for package, base in PACKAGES.items():
        for path in base.rglob("*.py"):
            parts = [package, *path.relative_to(base).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def _imports(path):
    """Names of first-party modules that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


ARROWS = {
    name: {other for other in _imports(path) if other.split(".")[0] in PACKAGES and other != name}
    for name, path in MODULES.items()
}


def folder(name):
    """The package that holds a module."""
    if name in MODULES and MODULES[name].name == "__init__.py":
        return name
    return name.rpartition(".")[0]


def circles(arrows):
    """Strongly connected parts of a graph with more than one node (Tarjan, SIAM J. Comput. 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(part) > 1:
                found.append(sorted(part))

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_no_module_imports_itself_by_way_of_others():
    assert circles(ARROWS) == []


def test_no_folder_imports_itself_by_way_of_others():
    """Apart from a package and its own subpackages, which share its `__main__` and its small modules."""
    arrows = defaultdict(set)
    for name, others in ARROWS.items():
        for other in others - set(PACKAGES):
            here, there = folder(name), folder(other)
            if here != there and not here.startswith(f"{there}.") and not there.startswith(f"{here}."):
                arrows[here].add(there)
    assert circles(arrows) == []


def test_no_arrow_runs_up():
    up = [
        (name, other)
        for name, others in ARROWS.items()
        for other in others
        if LEVEL[other.split(".")[0]] > LEVEL[name.split(".")[0]]
    ]
    assert up == []


@pytest.mark.parametrize("module", ["simulate", "replay", "capacity"])
def test_offline_runs_load_nothing_of_a_live_session(module):
    program = f"import sys, dredge_host.offline.{module}; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in loaded if name.startswith(OFFLINE_NEVER_LOADS)] == []


def test_files_are_short():
    long = {str(path.relative_to(ROOT)): lines for path in MODULES.values()
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LARGEST_FILE}  # fmt: skip
    assert long == {}


def test_folders_are_small():
    sizes = defaultdict(int)
    for name, path in MODULES.items():
        sizes[folder(name)] += path.name != "__init__.py"
    assert {name: size for name, size in sizes.items() if size > LARGEST_FOLDER and name not in LARGE_FOLDERS} == {}


def test_classes_are_short():
    long = {node.name for path in MODULES.values() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno + 1 > LARGEST_CLASS}  # fmt: skip
    assert long == set()


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*/*.md")]), ids=lambda p: p.name)
def test_imports_in_the_documentation_work(page):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = re.findall(r"^(?:from|import) dredge_.*$", "\n".join(blocks), re.MULTILINE)
    exec("\n".join(lines), {})
