# SPDX-License-Identifier: BSD-2-Clause
DEFECTS: tuple[str, ...]
