/* Faults of one process, preloaded into it: its clock is wrong, its disk slow or full. A file that the test writes and this maps says
 * which, as four numbers of 64 bits: milliseconds by which the wall clock is ahead, milliseconds that syncing a file takes longer,
 * whether nothing can be written to files, and whether no file can be synced. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const struct { int64_t none[4]; } nothing;
static const volatile int64_t *faults = nothing.none;
enum { CLOCK_AHEAD_MS, SYNC_MS, DISK_FULL, SYNC_FAILS, FAULTS };

__attribute__((constructor)) static void map_faults(void) {
    const char *path = getenv("SKEP_TEST_FAULTS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(0, FAULTS * sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) faults = mapped;
    close(file);
}

#define NEXT(name) static __typeof__(name) *next; if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int clock_gettime(clockid_t clock, struct timespec *now) {
    NEXT(clock_gettime);
    int result = next(clock, now);
    int64_t ahead = faults[CLOCK_AHEAD_MS];
    if (result == 0 && ahead && clock == CLOCK_REALTIME) {
        int64_t nanoseconds = now->tv_nsec + ahead % 1000 * 1000000;
        now->tv_sec += ahead / 1000;
        if (nanoseconds < 0) { nanoseconds += 1000000000; now->tv_sec -= 1; }
        if (nanoseconds >= 1000000000) { nanoseconds -= 1000000000; now->tv_sec += 1; }
        now->tv_nsec = nanoseconds;
    }
    return result;
}

static int sync_fails(void) {
    int64_t ms = faults[SYNC_MS];
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    if (ms) nanosleep(&pause, 0);
    if (!faults[SYNC_FAILS]) return 0;
    errno = EIO;
    return 1;
}

int fsync(int file) { NEXT(fsync); return sync_fails() ? -1 : next(file); }
int fdatasync(int file) { NEXT(fdatasync); return sync_fails() ? -1 : next(file); }

static int is_full(int file) {
    struct stat status;
    if (file <= STDERR_FILENO || !faults[DISK_FULL] || fstat(file, &status) || !S_ISREG(status.st_mode)) return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t write(int file, const void *bytes, size_t count) {
    NEXT(write);
    return is_full(file) ? -1 : next(file, bytes, count);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    NEXT(writev);
    return is_full(file) ? -1 : next(file, parts, count);
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    NEXT(pwrite);
    return is_full(file) ? -1 : next(file, bytes, count, offset);
}
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    NEXT(pwrite64);
    return is_full(file) ? -1 : next(file, bytes, count, offset);
}
