/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded: the time of day leaps by an hour, back and forth, every second; the monotonic clock is left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

typedef int (*clock_function)(clockid_t, struct timespec *);

static int real(clockid_t which, struct timespec *now)
{
    static clock_function next;
    if (!next) next = (clock_function)dlsym(RTLD_NEXT, "clock_gettime");
    return next(which, now);
}

static time_t wrong(time_t seconds) { return seconds % 2 ? seconds - 3600 : seconds + 3600; }

int clock_gettime(clockid_t which, struct timespec *now)
{
    const int failed = real(which, now);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec = wrong(now->tv_sec);
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &t);
    now->tv_sec = t.tv_sec;
    now->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}
