# SPDX-License-Identifier: BSD-2-Clause
# For freezing into a firmware image (make FROZEN_MANIFEST=.../firmware/manifest.py in a MicroPython port, which runs
# this file in its own folder). The files are those of package.json; dredge_device/pi and __main__ are for CPython.
# ruff: noqa: F821
import json

with open("package.json") as listed:
    PLACES = [place for place, _ in json.load(listed)["urls"]]

for name, folder in (("dredge_device", "."), ("dredge_board", "boards")):
    files = [place.partition("/")[2] for place in PLACES if place.startswith(name + "/")]
    package(name, files=files, base_path=folder, opt=2)
