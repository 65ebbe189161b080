/* Moves the wall clock of a process and of its children, for tests that must not depend on the date.
 *
 *   cc -shared -fPIC -O2 -o shifted_clock.so shifted_clock.c
 *   CLOCK_AHEAD=3456000 LD_PRELOAD=$PWD/shifted_clock.so date          # seconds; here 40 days
 *
 * Shifted: the time of day, the times of files, and absolute waits on the time of day. Monotonic clocks are left
 * alone, so sleeps and timeouts last as long as ever. libfaketime 0.9.10 (Debian 12 and 13) cannot do this: with its
 * FAKETIME_DONT_FAKE_MONOTONIC `time.sleep(1)` returns at once, and threads of CPython spin (15 times the CPU time).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static long ahead(void) {
    static long seconds, known;
    if (!known) {
        const char *text = getenv("CLOCK_AHEAD");
        seconds = text ? atol(text) : 0;
        known = 1;
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime);
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    REAL(gettimeofday);
    int failed = real(now, zone);
    if (!failed) now->tv_sec += ahead();
    return failed;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

/* An absolute time beyond half the shift is one of the shifted clock; a time of a monotonic clock never is. */
static struct timespec unshifted(const struct timespec *until) {
    struct timespec now, found = *until;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ahead() && found.tv_sec > now.tv_sec - ahead() / 2) found.tv_sec -= ahead();
    return found;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    REAL(pthread_cond_timedwait);
    struct timespec moved = unshifted(until);
    return real(condition, mutex, &moved);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    REAL(pthread_mutex_timedlock);
    struct timespec moved = unshifted(until);
    return real(mutex, &moved);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    REAL(sem_timedwait);
    struct timespec moved = unshifted(until);
    return real(semaphore, &moved);
}

#define SHIFTED(failed, buffer) \
    if (!(failed)) { \
        (buffer)->st_atim.tv_sec += ahead(); \
        (buffer)->st_mtim.tv_sec += ahead(); \
        (buffer)->st_ctim.tv_sec += ahead(); \
    } \
    return failed

/* Each of them under both names that glibc gives it: programs built with large file support call the second. */
#define STAT_FAMILY(suffix) \
    int stat##suffix(const char *restrict path, struct stat##suffix *restrict found) { \
        REAL(stat##suffix); \
        int failed = real(path, found); \
        SHIFTED(failed, found); \
    } \
    int lstat##suffix(const char *restrict path, struct stat##suffix *restrict found) { \
        REAL(lstat##suffix); \
        int failed = real(path, found); \
        SHIFTED(failed, found); \
    } \
    int fstat##suffix(int file, struct stat##suffix *found) { \
        REAL(fstat##suffix); \
        int failed = real(file, found); \
        SHIFTED(failed, found); \
    } \
    int fstatat##suffix(int folder, const char *restrict path, struct stat##suffix *restrict found, int flags) { \
        REAL(fstatat##suffix); \
        int failed = real(folder, path, found, flags); \
        SHIFTED(failed, found); \
    }

STAT_FAMILY()
STAT_FAMILY(64)

int statx(int folder, const char *restrict path, int flags, unsigned mask, struct statx *restrict found) {
    REAL(statx);
    int failed = real(folder, path, flags, mask, found);
    if (!failed) {
        found->stx_atime.tv_sec += ahead();
        found->stx_mtime.tv_sec += ahead();
        found->stx_ctime.tv_sec += ahead();
        found->stx_btime.tv_sec += ahead();
    }
    return failed;
}

static const struct timespec *set(const struct timespec given[2], struct timespec moved[2]) {
    if (!given) return NULL;
    for (int i = 0; i < 2; i++) {
        moved[i] = given[i];
        if (given[i].tv_nsec != UTIME_NOW && given[i].tv_nsec != UTIME_OMIT) moved[i].tv_sec -= ahead();
    }
    return moved;
}

int utimensat(int folder, const char *path, const struct timespec given[2], int flags) {
    REAL(utimensat);
    struct timespec moved[2];
    return real(folder, path, set(given, moved), flags);
}

int futimens(int file, const struct timespec given[2]) {
    REAL(futimens);
    struct timespec moved[2];
    return real(file, set(given, moved));
}
