# SPDX-License-Identifier: BSD-2-Clause
"""FARGAN in plain NumPy from the arrays of dredge_kernels.fargan: slow and simple on purpose."""

from __future__ import annotations

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


class Reference:
    """The same two calls as the kernel; samples are floats in -1 ... 1."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.a = arrays
        self.past = np.zeros(256)
        self.conv = np.zeros(128)
        self.first = np.zeros(164)
        self.h = [np.zeros(n) for n in (160, 128, 128)]
        self.last, self.period = 0.0, 256

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        rounded = np.floor(127 * np.clip(x, -1, 1) + 0.5).astype(np.int64)
        return (self.a[name].astype(np.int64) @ rounded) * self.a[f"{name}_scale"] + self.a[f"{name}_bias"]

    def gated(self, name: str, x: np.ndarray) -> np.ndarray:
        return x * sigmoid(self.linear(name, x))

    @staticmethod
    def period_of(row: np.ndarray) -> int:
        return int(np.clip(np.floor(0.5 + 256 / 2 ** (row[18] + 1.5)), 32, 256))

    def condition(self, row: np.ndarray, period: int) -> np.ndarray:
        embed = self.a["embed"][min(period - 32, 223)]
        x = np.tanh(self.a["dense1"] @ np.concatenate([row, embed]) + self.a["dense1_bias"])
        taps = np.concatenate([self.conv, x])
        self.conv = taps[64:]
        return np.tanh(self.linear("dense2", np.tanh(self.linear("conv1", taps)))).reshape(4, 80)

    def subframe(self, cond: np.ndarray, period: int) -> np.ndarray:
        level = np.exp(self.a["gain"] @ cond + self.a["gain_bias"][0])
        scale = 1 / (1e-5 + level)
        pred = np.clip(scale * self.past[self.repeated(period)], -1, 1)
        previous = np.clip(scale * self.past[-40:], -1, 1)
        x = np.concatenate([cond, pred, previous])
        o = [self.gated("first_gate", np.tanh(self.linear("first", np.concatenate([self.first, x]))))]
        self.first = x
        share = sigmoid(self.a["gates"] @ o[0] + self.a["gates_bias"])
        for k in range(3):
            given = self.linear(f"gru{k + 1}_in", np.concatenate([o[-1], share[k] * pred[2:42], previous]))
            own, n = self.linear(f"gru{k + 1}_own", self.h[k]), len(self.h[k])
            z, r = sigmoid(given[:n] + own[:n]), sigmoid(given[n : 2 * n] + own[n : 2 * n])
            self.h[k] = z * self.h[k] + (1 - z) * np.tanh(given[2 * n :] + r * own[2 * n :])
            o.append(self.gated(f"gru{k + 1}_gate", self.h[k]))
        joined = np.concatenate([*o[1:], o[0], share[3] * pred[2:42], previous])
        out = level * np.tanh(self.linear("out", self.gated("skip_gate", np.tanh(self.linear("skip", joined)))))
        self.past = np.concatenate([self.past[40:], out])
        return out

    @staticmethod
    def repeated(period: int) -> list[int]:
        """Places in the past of the 44 samples one period back, gone through again where the period is short."""
        at, places = 254 - period, []
        for _ in range(44):
            places.append(max(0, at))
            at = at + 1 if at + 1 < 256 else at + 1 - period
        return places

    def begin(self, pcm: np.ndarray, rows: np.ndarray) -> None:
        self.__init__(self.a)  # type: ignore[misc]
        for row in rows:
            cond = self.condition(row, self.period_of(row))
        self.period = self.period_of(rows[-2])
        x = np.concatenate([[0.0], pcm[1:] - 0.85 * pcm[:-1]])
        self.past[-160:] = x[:160]
        for k in range(4):
            self.subframe(cond[k], self.period)
            self.past[-40:] = x[160 + 40 * k : 200 + 40 * k]
        self.last = float(pcm[-1])

    def next(self, row: np.ndarray) -> np.ndarray:
        period = self.period_of(row)
        cond = self.condition(row, period)
        out = np.concatenate([self.subframe(cond[k], self.period) for k in range(4)])
        self.period = period
        for i in range(160):
            self.last = out[i] = out[i] + 0.85 * self.last
        return out
