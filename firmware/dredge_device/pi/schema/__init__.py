# SPDX-License-Identifier: BSD-2-Clause
"""The JSON documents of a device, each declared once as a TypedDict for producers, the host's check and all readers.

    checks      the check of a JSON value, made from a type
    report      the device report and its parts
    documents   the answer to a greeting, a session's options, the status
"""
