# SPDX-License-Identifier: BSD-2-Clause
"""Speech for every packet period: received, recovered or concealed."""
