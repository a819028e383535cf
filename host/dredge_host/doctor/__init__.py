# SPDX-License-Identifier: BSD-2-Clause
"""`dredge doctor`: facts about this machine and installation."""
