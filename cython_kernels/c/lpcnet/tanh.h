/* SPDX-License-Identifier: BSD-2-Clause */
/* tanh in 16-bit integers, the same at every level: x times LN_TANH_GAIN, rounded to the nearest int16 (saturated),
 * to 32768 tanh(x). |x| picks one of 16 segments; a quadratic in the place within it, least maximal error, with
 * rounded Q15 products. At worst 3.5e-4 from tanh for any real x (1.9e-4 for the sigmoid made of it), half of it
 * because it ends at +-LN_TANH_RANGE; tests/kernels/test_lpcnet_tanh.py measures it. */
#ifndef DREDGE_LPCNET_TANH_H
#define DREDGE_LPCNET_TANH_H

#include <stdint.h>

#define LN_TANH_RANGE 4.5f
#define LN_TANH_GAIN (32768.f / LN_TANH_RANGE)

#define LN_TANH_0(F) F(0), F(8977), F(16707), F(22540), F(26522), F(29057), F(30601), F(31515), \
    F(32048), F(32356), F(32533), F(32634), F(32691), F(32724), F(32743), F(32754)
#define LN_TANH_1(F) F(9314), F(8590), F(6817), F(4817), F(3136), F(1935), F(1156), F(677), \
    F(392), F(225), F(129), F(74), F(42), F(24), F(14), F(8)
#define LN_TANH_2(F) F(-325), F(-858), F(-987), F(-839), F(-604), F(-394), F(-243), F(-145), \
    F(-85), F(-49), F(-28), F(-16), F(-9), F(-5), F(-3), F(-2)

#define LN_TANH_WHOLE(c) (c)
#define LN_TANH_LOW(c) ((c) & 255)
#define LN_TANH_HIGH(c) ((c) >> 8 & 255)

#endif
