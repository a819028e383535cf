# SPDX-License-Identifier: BSD-2-Clause
# The program that a board runs after power-up.
from dredge_board import app

app.main()
