# SPDX-License-Identifier: BSD-2-Clause
# What the compiler of a board knows by itself, for other Pythons: they run the same functions as ordinary ones.


def const(value):
    return value


def ptr8(buffer):
    return buffer


ptr32 = ptr8


class micropython:
    @staticmethod
    def viper(function):
        return function
