/* SPDX-License-Identifier: BSD-2-Clause */
/* Real Fourier transform of 320 samples. */
#ifndef DREDGE_FFT320_H
#define DREDGE_FFT320_H

#define DR_FFT 320
#define DR_FFT_BINS 161

void dr_fft_init(void);

/* re, im: DR_FFT_BINS values of sum x[n] exp(-2 pi i k n / 320) / 320. */
void dr_fft_forward(const float *x, float *re, float *im);

/* Inverts dr_fft_forward. */
void dr_fft_inverse(const float *re, const float *im, float *x);

#endif
