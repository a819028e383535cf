# SPDX-License-Identifier: BSD-2-Clause
"""What every self-contained page has: the frame with its content policy, assets, data for scripts."""

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

# No script runs but the one whose hash is here, whatever else might get into the page.
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src '{hash}'"


def page(title: str, sections: Iterable[str], styles: Iterable[str], scripts: Iterable[str], data: Any) -> str:
    """A whole page: `sections` are HTML, styles and scripts name files among the assets; the colours of
    the sources are added.

    data: what the scripts read from the element `data`; NaN becomes null.
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
    """The source expression that allows exactly this inline script (Content Security Policy 3, section 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def asset(name: str) -> str:
    """The text of a file in dredge_host/assets."""
    return resources.files("dredge_host").joinpath("assets", name).read_text(encoding="utf-8")


def plain(value: Any) -> Any:
    """The same document with NaN as null and NumPy scalars as numbers, as JSON wants it."""
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
    """JSON that may stand inside a script element: nothing in it can end the element."""
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
