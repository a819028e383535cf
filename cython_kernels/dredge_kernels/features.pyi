# SPDX-License-Identifier: BSD-2-Clause
import numpy as np
from numpy.typing import NDArray

HOP: int
NB_FEATURES: int
NB_BANDS: int
LPC_ORDER: int

class FeatureExtractor:
    """Streaming analysis: one row of 20 features per 160 samples (10 ms).

    Row i of a stream describes the window of samples 160(i-1) ... 160(i+1): 18 cepstra (band 0 minus 4),
    log2(256 / period) - 1.5 with the period in samples, and softplus(5 r) / softplus(5) - 0.5 of the
    pitch correlation r. Source: arXiv 1810.11846 section 3.1; constants as in libopus 1.5.
    One thread at a time: RuntimeError while another one is inside.
    """

    def process(self, pcm: NDArray[np.int16]) -> NDArray[np.float32]:
        """int16 [160 k] -> float32 [k, 20]. Raises ValueError on another dtype or length."""

    def reset(self) -> None:
        """Forgets all history."""

def lpc_from_cepstrum(cepstra: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n, >= 18] -> float32 [n, 16]; x[n] is predicted as -sum a[i] x[n-1-i] (pre-emphasised)."""
