# SPDX-License-Identifier: BSD-2-Clause
"""The frame of every self-contained page: content policy, assets, data for scripts."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from dredge_host.legend import style_sheet

# No script runs but the one whose hash is here, even if other script text got into the page.
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src '{hash}'"


def page(title: str, sections: Iterable[str], styles: Iterable[str], scripts: Iterable[str], data: Any) -> str:
    """Return a whole page: `sections` are HTML, styles and scripts name files among the assets; the colours of the
    sources are added.

    data: the content of the element `data` for the scripts; NaN becomes null.
    """
    script = "".join(map(asset, scripts))
    return _PAGE.format(
        policy=POLICY.format(hash=_csp_hash(script)),
        title=escape(title),
        style="".join(map(asset, styles)) + style_sheet(),
        script=script,
        body="\n".join(section for section in sections if section),
        data=_script_json(plain(data)),
    )


def _csp_hash(script: str) -> str:
    """Return the source expression that allows exactly this inline script (Content Security Policy 3, section 2.3.1).
    """
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def asset(name: str) -> str:
    """Return the text of a file in dredge_host/assets."""
    return resources.files("dredge_host").joinpath("assets", name).read_text(encoding="utf-8")


def plain(value: Any) -> Any:
    """Return the document with JSON values only: NaN as null, NumPy scalars as numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _script_json(value: Any) -> str:
    """Return JSON for a script element: escaped so that it cannot end the element."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""
