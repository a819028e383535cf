/* SPDX-License-Identifier: BSD-2-Clause */
/* Bark-like cepstrum of a 20 ms window and the linear predictor computed from a cepstrum. */
#ifndef DREDGE_CEPSTRUM_H
#define DREDGE_CEPSTRUM_H

#define DR_HOP 160
#define DR_WINDOW 320
#define DR_BINS 161
#define DR_BANDS 18
#define DR_ORDER 16
#define DR_SILENCE -2.f   /* log10 of a band's energy in digital silence */

/* The gain of de-emphasis on a band's energy, |1 - .85 / z|^-2 at its edge; the outermost two are half bands. */
extern const float dr_heard[DR_BANDS];

/* Fills the tables. It must be called before all other functions of this file. */
void dr_cepstrum_init(void);

/* window: DR_WINDOW pre-emphasised samples at int16 scale (not modified). cepstrum: DR_BANDS values. */
void dr_cepstrum(const float *window, float *cepstrum);

/* Returns log10 of a band's energy with the floor of the features. */
float dr_level(float energy);

/* Writes the DR_BANDS energies of a window (as for dr_cepstrum). */
void dr_window_energy(const float *window, float *energy);

/* Writes the DCT of DR_BANDS log10 energies; value 0 of a cepstrum is smaller than it by 4. */
void dr_transform(const float *level, float *cepstrum);

/* The analysis window (its square overlaps to one at hops of DR_HOP), applied to DR_WINDOW samples. */
void dr_window(const float *in, float *out);

/* power: DR_BINS values of |FFT / 320|^2 -> DR_BANDS energies. */
void dr_band_energy(const float *power, float *energy);

/* cepstrum -> DR_BANDS log10 energies, kept within +-12. */
void dr_band_levels(const float *cepstrum, float *level);

/* DR_BANDS energies -> the powers of DR_BINS bins that have them, linear in between. */
void dr_bin_power(const float *energy, float *power);

/* DR_BANDS values at the band edges -> DR_BINS, linear in between. */
void dr_interpolate(const float *band, float *bin);

/* lpc: DR_ORDER taps; the prediction of x[n] is -sum lpc[i] x[n-1-i] in the pre-emphasised domain. */
void dr_lpc_from_cepstrum(const float *cepstrum, float *lpc);

#endif
