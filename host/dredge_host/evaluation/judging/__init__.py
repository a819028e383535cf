# SPDX-License-Identifier: BSD-2-Clause
"""The metrics and checks that judge what is heard."""
