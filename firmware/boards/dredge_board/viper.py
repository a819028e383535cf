# SPDX-License-Identifier: BSD-2-Clause
# Stand-ins for the names of MicroPython's viper compiler, so that other Pythons run the same functions.


def const(value):
    return value


def ptr8(buffer):
    return buffer


ptr32 = ptr8


class micropython:
    @staticmethod
    def viper(function):
        return function
