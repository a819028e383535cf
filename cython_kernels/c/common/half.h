/* SPDX-License-Identifier: BSD-2-Clause */
/* Converts binary16 (IEEE 754) to float. This is exact, so every level may use its own instructions for it. */
#ifndef DREDGE_HALF_H
#define DREDGE_HALF_H

#include <stdint.h>
#include <string.h>

/* Finite values only. */
static inline float half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    float y = (float)fraction * (1.f / 16777216.f);                     /* subnormal: in units of 2^-24 */
    uint32_t bits = (exponent + 112) << 23 | fraction << 13;
    if (exponent == 0) memcpy(&bits, &y, 4);
    bits |= sign;
    memcpy(&y, &bits, 4);
    return y;
}

#endif
