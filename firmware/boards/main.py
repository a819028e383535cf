# SPDX-License-Identifier: BSD-2-Clause
# What a board runs after power-up.
from dredge_board import app

app.main()
