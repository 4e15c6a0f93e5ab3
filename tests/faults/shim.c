/* Counts the calls by which a process changes files below a folder, and has something happen at the n-th of them.

   Loaded with LD_PRELOAD. `fault_arm` says where, what and when; its counter lies in memory that the caller shares with
   the process, so that it can be read after a kill. Whatever goes through the C library is seen: Python, SQLite,
   libstdc++ and Rust do. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* What happens; the same numbers as in driver.py. */
enum { COUNT, KILL, KILL_HALFWAY, NO_SPACE, IO_ERROR, TERMINATE, STOP };

struct counter {
    long calls;        /* that could have failed in the way asked for */
    long fired;        /* times that it happened */
    double fired_at_s; /* when it happened first, by CLOCK_MONOTONIC */
};

static struct counter *counter;
static char root[PATH_MAX];
static size_t root_length;
static long target;
static int fault;
static int for_good;

void fault_arm(struct counter *shared, const char *folder, int what, long when, int stays) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    fault = what;
    target = when;
    for_good = stays;
    counter = shared;
}

static int is_below(const char *path) {
    return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

static int watched_descriptor(int descriptor) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int watched_path(int folder, const char *path) {
    char current[PATH_MAX];
    if (path[0] == '/') return is_below(path);
    if (folder != AT_FDCWD) return watched_descriptor(folder);
    return getcwd(current, sizeof current) && is_below(current);
}

/* Whether the fault happens at this call. */
static int is_due(int takes_space) {
    if (fault == NO_SPACE && !takes_space) return 0;
    long number = __atomic_add_fetch(&counter->calls, 1, __ATOMIC_SEQ_CST);
    if (fault == COUNT || (for_good ? number < target : number != target)) return 0;
    if (counter->fired++ == 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        counter->fired_at_s = now.tv_sec + now.tv_nsec / 1e9;
    }
    return 1;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Says whether a call is to fail; errno is set then. With KILL_HALFWAY, the process dies after the call. */
static int fails(int watched, int takes_space, int *dies_after) {
    *dies_after = 0;
    if (!counter || !watched) return 0;
    int before = errno;
    int due = is_due(takes_space);
    errno = before;
    if (!due) return 0;
    switch (fault) {
    case KILL: die();
    case KILL_HALFWAY: *dies_after = 1; return 0;
    case NO_SPACE: errno = ENOSPC; return 1;
    case IO_ERROR: errno = EIO; return 1;
    case TERMINATE: kill(getpid(), SIGTERM); return 0;
    case STOP: kill(getpid(), SIGSTOP); return 0;
    }
    return 0;
}

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

#define CHANGE(result, name, parameters, arguments, watched, takes_space) \
    result name parameters {                                             \
        static __typeof__(name) *real;                                   \
        int dies_after;                                                  \
        if (!real) real = REAL(name);                                    \
        if (counter && fails(watched, takes_space, &dies_after)) return -1; \
        if (!counter) return real arguments;                             \
        result value = real arguments;                                   \
        if (dies_after) die();                                           \
        return value;                                                    \
    }

CHANGE(int, fsync, (int fd), (fd), watched_descriptor(fd), 0)
CHANGE(int, fdatasync, (int fd), (fd), watched_descriptor(fd), 0)
CHANGE(int, fchmod, (int fd, mode_t mode), (fd, mode), watched_descriptor(fd), 0)
CHANGE(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), watched_descriptor(fd), 0)
CHANGE(int, futimens, (int fd, const struct timespec times[2]), (fd, times), watched_descriptor(fd), 0)
CHANGE(int, ftruncate, (int fd, off_t length), (fd, length), watched_descriptor(fd), 0)
CHANGE(int, ftruncate64, (int fd, off64_t length), (fd, length), watched_descriptor(fd), 0)
CHANGE(int, fallocate, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length), watched_descriptor(fd), 1)
CHANGE(int, fallocate64, (int fd, int mode, off64_t offset, off64_t length), (fd, mode, offset, length), watched_descriptor(fd), 1)
CHANGE(int, chmod, (const char *path, mode_t mode), (path, mode), watched_path(AT_FDCWD, path), 0)
CHANGE(int, unlink, (const char *path), (path), watched_path(AT_FDCWD, path), 0)
CHANGE(int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags), watched_path(folder, path), 0)
CHANGE(int, rmdir, (const char *path), (path), watched_path(AT_FDCWD, path), 0)
CHANGE(int, mkdir, (const char *path, mode_t mode), (path, mode), watched_path(AT_FDCWD, path), 1)
CHANGE(int, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode), watched_path(folder, path), 1)
CHANGE(int, rename, (const char *from, const char *to), (from, to), watched_path(AT_FDCWD, to), 0)
CHANGE(int, renameat, (int from_folder, const char *from, int to_folder, const char *to), (from_folder, from, to_folder, to), watched_path(to_folder, to), 0)
CHANGE(int, renameat2, (int from_folder, const char *from, int to_folder, const char *to, unsigned flags), (from_folder, from, to_folder, to, flags), watched_path(to_folder, to), 0)
CHANGE(int, link, (const char *from, const char *to), (from, to), watched_path(AT_FDCWD, to), 1)
CHANGE(ssize_t, sendfile, (int to, int from, off_t *offset, size_t count), (to, from, offset, count), watched_descriptor(to), 1)
CHANGE(ssize_t, sendfile64, (int to, int from, off64_t *offset, size_t count), (to, from, offset, count), watched_descriptor(to), 1)
CHANGE(ssize_t, copy_file_range, (int from, off64_t *from_offset, int to, off64_t *to_offset, size_t count, unsigned flags), (from, from_offset, to, to_offset, count, flags), watched_descriptor(to), 1)

/* posix_fallocate returns the error instead of setting errno. */
#define ALLOCATE(name, offset_type)                                                            \
    int name(int fd, offset_type offset, offset_type length) {                                 \
        static __typeof__(name) *real;                                                         \
        int dies_after;                                                                        \
        if (!real) real = REAL(name);                                                          \
        if (!counter) return real(fd, offset, length);                                         \
        if (fails(watched_descriptor(fd), 1, &dies_after)) return errno;                       \
        int value = real(fd, offset, length);                                                  \
        if (dies_after) die();                                                                 \
        return value;                                                                          \
    }
ALLOCATE(posix_fallocate, off_t)
ALLOCATE(posix_fallocate64, off64_t)

/* Half of what was to be written is on the disk when the process dies. */
#define WRITE(name, parameters, arguments, half_arguments)                                     \
    ssize_t name parameters {                                                                  \
        static __typeof__(name) *real;                                                         \
        int dies_after;                                                                        \
        if (!real) real = REAL(name);                                                          \
        if (!counter) return real arguments;                                                   \
        if (fails(watched_descriptor(fd), 1, &dies_after)) return -1;                          \
        if (dies_after) {                                                                      \
            real half_arguments;                                                               \
            die();                                                                             \
        }                                                                                      \
        return real arguments;                                                                 \
    }
WRITE(write, (int fd, const void *data, size_t count), (fd, data, count), (fd, data, count / 2))
WRITE(pwrite, (int fd, const void *data, size_t count, off_t offset), (fd, data, count, offset), (fd, data, count / 2, offset))
WRITE(pwrite64, (int fd, const void *data, size_t count, off64_t offset), (fd, data, count, offset), (fd, data, count / 2, offset))
WRITE(writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), (fd, parts, count / 2))

/* Opening changes something where it makes a file or empties one. */
static int opening_fails(int folder, const char *path, int flags, int *dies_after) {
    *dies_after = 0;
    if (!counter || !watched_path(folder, path)) return 0;
    int before = errno;
    int is_there = faccessat(folder, path, F_OK, 0) == 0;
    errno = before;
    int makes = (flags & O_TMPFILE) == O_TMPFILE || ((flags & O_CREAT) && !is_there);
    return (makes || (flags & O_TRUNC)) && fails(1, makes, dies_after);
}

#define MODE_OF(flags, last)                                  \
    mode_t mode = 0;                                          \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                    \
        va_list rest;                                         \
        va_start(rest, last);                                 \
        mode = va_arg(rest, mode_t);                          \
        va_end(rest);                                         \
    }

#define OPEN(name)                                                             \
    int name(const char *path, int flags, ...) {                               \
        static __typeof__(name) *real;                                         \
        int dies_after;                                                        \
        MODE_OF(flags, flags)                                                  \
        if (!real) real = REAL(name);                                          \
        if (opening_fails(AT_FDCWD, path, flags, &dies_after)) return -1;      \
        int fd = real(path, flags, mode);                                      \
        if (dies_after) die();                                                 \
        return fd;                                                             \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                           \
    int name(int folder, const char *path, int flags, ...) {                   \
        static __typeof__(name) *real;                                         \
        int dies_after;                                                        \
        MODE_OF(flags, flags)                                                  \
        if (!real) real = REAL(name);                                          \
        if (opening_fails(folder, path, flags, &dies_after)) return -1;        \
        int fd = real(folder, path, flags, mode);                              \
        if (dies_after) die();                                                 \
        return fd;                                                             \
    }
OPENAT(openat)
OPENAT(openat64)

/* What is written through a FILE goes past the functions above; libstdc++ uses one to open, and writes by itself. */
#define FOPEN(name)                                                                         \
    FILE *name(const char *path, const char *mode) {                                        \
        static __typeof__(name) *real;                                                      \
        int dies_after;                                                                     \
        int flags = mode[0] == 'w' ? O_CREAT | O_TRUNC : mode[0] == 'a' ? O_CREAT : 0;       \
        if (!real) real = REAL(name);                                                       \
        if (opening_fails(AT_FDCWD, path, flags, &dies_after)) return NULL;                 \
        FILE *file = real(path, mode);                                                      \
        if (dies_after) die();                                                              \
        return file;                                                                        \
    }
FOPEN(fopen)
FOPEN(fopen64)
