/* Shifts the realtime clock of a process that preloads this library by BACKCHAT_TEST_CLOCK_SHIFT seconds.
 *
 * Monotonic clocks, sleeps and timers are not touched: they call the kernel, which has the real time. libfaketime is not
 * used, since its version 0.9.10 lets time.sleep() and timerfd_settime() fail with EINVAL on the monotonic clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

typedef int read_clock(clockid_t, struct timespec *);

static time_t shift;
static read_clock *real_clock_gettime;

__attribute__((constructor)) static void begin(void) {
    const char *seconds = getenv("BACKCHAT_TEST_CLOCK_SHIFT");
    shift = seconds ? atol(seconds) : 0;
    real_clock_gettime = (read_clock *)dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_clock_gettime) /* called by the constructor of another library */
        begin();
    int failed = real_clock_gettime(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI))
        now->tv_sec += shift;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *stored) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (stored)
        *stored = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}
