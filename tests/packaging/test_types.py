# SPDX-License-Identifier: BSD-2-Clause
"""Documents have declared types, and functions are short."""

import ast

import pytest
from test_imports import MODULES

LONGEST_FUNCTION = 60  # lines, decorators apart
# JSON of any shape: `dict[str, Any]` stands for it nowhere else.
ANY_SHAPE = {
    "dredge_device.pi.service.options",  # all settings, as JSON
    "dredge_host.cli.live.deploy",  # what another machine's doctor and check printed
    "dredge_host.cli.measure.models",  # a manifest of models
    "dredge_host.cli.options",  # the values that click hands over
    "dredge_host.evaluation.judging.registry",  # figures by the names of METRICS
    "dredge_host.evaluation.material.traceset",  # a manifest that somebody else wrote
    "dredge_host.evaluation.material.tracewriter",  # the strata, by their fields
    "dredge_host.evaluation.results.document", "dredge_host.evaluation.running.lightloss",  # means by metric and way
    "dredge_host.live.control_channel", "dredge_host.live.device_report",  # before it is checked
    "dredge_host.live.documents", "dredge_host.offline.documents", "dredge_host.talk.documents",  # settings
    "dredge_host.offline.quality",  # scores by the names of metrics
    "dredge_host.report.document",  # a saved result of any verb
}


def untyped(source):
    """Whether a source has a dictionary of anything by name."""
    return any(isinstance(node, ast.Subscript) and ast.unparse(node) == "dict[str, Any]"
               for node in ast.walk(ast.parse(source)))  # fmt: skip


def long_functions(source):
    """The functions of a source that are too long."""
    return [node.name for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "found"),
    [("def f(a: dict[str, Any]): ...", True), ("a: list[dict[str, Any]]", True), ("# dict[str, Any]", False),
     ("a: dict[str, int]", False)],
)  # fmt: skip
def test_an_untyped_document_is_found(source, found):
    assert untyped(source) is found


def test_a_long_function_is_found():
    body = "    pass\n" * LONGEST_FUNCTION
    assert long_functions(f"def f():\n{body}") == ["f"] and long_functions(f"def f():\n{body[9:]}") == []


def test_documents_have_declared_types():
    assert {name for name, path in MODULES.items() if untyped(path.read_text(encoding="utf-8"))} == ANY_SHAPE


def test_functions_are_short():
    assert {name: found for name, path in MODULES.items()
            if (found := long_functions(path.read_text(encoding="utf-8")))} == {}  # fmt: skip
