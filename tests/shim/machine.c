/* Stands between a program and its machine, for tests alone: another boot, another wall clock, a
 * full disk. Loaded before a program by LD_PRELOAD; needs no rights.
 *
 * QORGAN_MACHINE names a folder. Its file `boot_id` is read in place of the kernel's; its file
 * `clock_ms` is added to the wall clock, never to the monotonic one; while its file `full` is there,
 * nothing can be written below the folder that QORGAN_MACHINE_DISK names.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char BOOT_ID[] = "/proc/sys/kernel/random/boot_id";

static int place(char *path, const char *name) {
    const char *folder = getenv("QORGAN_MACHINE");
    return folder && snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static int there(const char *path) {
    return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
}

static int64_t clock_step_ms(void) {
    char path[PATH_MAX], text[32];
    if (!place(path, "clock_ms"))
        return 0;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    text[length > 0 ? length : 0] = 0;
    return strtoll(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ms = now->tv_sec * 1000LL + now->tv_nsec / 1000000 + clock_step_ms();
        now->tv_sec = ms / 1000;
        now->tv_nsec = (ms % 1000) * 1000000 + now->tv_nsec % 1000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    int result = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return result;
}

time_t time(time_t *now) {
    struct timespec precise = {0};
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now)
        *now = precise.tv_sec;
    return precise.tv_sec;
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    char other[PATH_MAX];
    if (strcmp(path, BOOT_ID) == 0 && place(other, "boot_id") && there(other))
        path = other;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE_OF(flags)                          \
    mode_t mode = 0;                            \
    if ((flags) & (O_CREAT | O_TMPFILE)) {      \
        va_list words;                          \
        va_start(words, flags);                 \
        mode = va_arg(words, mode_t);           \
        va_end(words);                          \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

static int refused(int file) {
    char path[PATH_MAX], link[64];
    const char *disk = getenv("QORGAN_MACHINE_DISK");
    if (!disk || !place(path, "full") || !there(path))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strncmp(path, disk, strlen(disk)) == 0;
}

static ssize_t full(void) {
    errno = ENOSPC;
    return -1;
}

ssize_t write(int file, const void *bytes, size_t length) {
    return refused(file) ? full() : syscall(SYS_write, file, bytes, length);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    return refused(file) ? full() : syscall(SYS_writev, file, parts, count);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off_t offset) {
    return refused(file) ? full() : syscall(SYS_pwrite64, file, bytes, length, offset);
}
