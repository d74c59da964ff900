/*
 * Recorder of everything that decides what a disk holds after a power cut.
 *
 * Preloaded into one process (LD_PRELOAD), it stands in front of libc and
 * appends one record per operation on files below SHIM_DIR, in the exact order
 * in which they took effect. `disk.rs` rebuilds crash images from the record.
 *
 *   SHIM_DIR      the directory to watch; must exist when the process starts
 *   SHIM_LOG      the record; must lie outside SHIM_DIR
 *   SHIM_SOCKETS  if set, bytes written to sockets are recorded too
 *
 * Invariants:
 *   - One mutex is held over the real call and its record, so the record has
 *     one total order and that order is the kernel's.
 *   - A record is written only after the call has succeeded: a sync that is in
 *     the record has returned, and a write that it covers stands before it.
 *   - The recorder keeps no table of descriptors. It asks the kernel at every
 *     operation, so dup, fcntl, inheritance and close need no bookkeeping.
 *   - What cannot be followed is recorded as UNTRACKED, never passed over:
 *     shared writable maps, stdio streams, symbolic links, names that cross the
 *     edge of SHIM_DIR, changes by other processes.
 *   - Files whose names end in "-shm" are not seen at all: SQLite's shared
 *     memory is rebuilt at start and never part of what is durable.
 *   - The recorder's own work uses system calls that it does not stand in
 *     front of.
 *
 * Out of sight: inline system calls, io_uring, POSIX aio, mprotect making a
 * read-only shared map writable. `Recording::assert_complete` notices them
 * afterwards, for the record then disagrees with the directory.
 *
 * The record, all numbers little endian:
 *
 *   8 bytes   "TIDESHM1", once
 *   then, per operation:
 *   u32       count of the bytes that follow in this operation
 *   u8        kind, as in `enum kind`
 *   u8        1 if a write was durable on return (O_SYNC, O_DSYNC, RWF_*SYNC)
 *   u64       inode (STARTED: process id)
 *   u64       offset
 *   u64       length (WRITTEN: of the data; RESIZED: the new size)
 *   u32+bytes path below SHIM_DIR, "" for SHIM_DIR itself or a nameless file
 *   u32+bytes second path: where a rename went
 *   u32+bytes data: written, acknowledged, or the reason for UNTRACKED
 *
 * A process that is killed may leave a last operation cut short.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef __LP64__
#error "offsets are passed to system calls as one register"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the record is little endian"
#endif

enum kind {
    STARTED = 1,
    FOUND_DIR = 2,
    FOUND_FILE = 3,
    CREATED = 4,
    DIR_MADE = 5,
    WRITTEN = 6,
    RESIZED = 7,
    ALLOCATED = 8,
    UNLINKED = 9,
    RENAMED = 10,
    LINKED = 11,
    SYNCED = 12,
    DATA_SYNCED = 13,
    RANGE_SYNCED = 14,
    ALL_SYNCED = 15,
    ACKED = 16,
    SENT = 17,
    UNTRACKED = 18,
};

static pthread_mutex_t order = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static bool recording;
static bool sockets;
static int log_fd = -1;
static pid_t owner;
static dev_t root_device;
static char root[PATH_MAX];
static size_t root_length;

/* ---- the record ---- */

struct op {
    enum kind kind;
    bool durable;
    uint64_t inode, offset, length;
    const char *path, *other;
    const struct iovec *parts; /* data: first `size` bytes of `parts`, zeros if null */
    int part_count;
    size_t size;
};

static char *buffer;
static size_t buffer_size, buffer_used;

static void stop(const char *why) {
    syscall(SYS_write, 2, "shim: ", 6);
    syscall(SYS_write, 2, why, strlen(why));
    syscall(SYS_write, 2, "\n", 1);
    abort();
}

static char *reserve(size_t size) {
    if (buffer_used + size > buffer_size) {
        size_t grown = (buffer_used + size) * 2 + 65536;
        char *fresh = (char *)syscall(SYS_mmap, NULL, grown, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fresh == MAP_FAILED) stop("no memory for a record");
        if (buffer) {
            memcpy(fresh, buffer, buffer_used);
            syscall(SYS_munmap, buffer, buffer_size);
        }
        buffer = fresh;
        buffer_size = grown;
    }
    char *at = buffer + buffer_used;
    buffer_used += size;
    return at;
}

static void put(const void *bytes, size_t size) { memcpy(reserve(size), bytes, size); }
static void put_u32(uint32_t value) { put(&value, sizeof value); }
static void put_u64(uint64_t value) { put(&value, sizeof value); }

static void put_text(const char *text) {
    size_t size = text ? strlen(text) : 0;
    put_u32((uint32_t)size);
    if (size) put(text, size);
}

static void put_parts(const struct iovec *parts, int count, size_t size) {
    if (!parts) {
        memset(reserve(size), 0, size);
        return;
    }
    for (int i = 0; i < count && size; i++) {
        size_t taken = parts[i].iov_len < size ? parts[i].iov_len : size;
        put(parts[i].iov_base, taken);
        size -= taken;
    }
}

static void append_to_log(void) {
    size_t done = 0;
    while (done < buffer_used) {
        ssize_t n = syscall(SYS_write, log_fd, buffer + done, buffer_used - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) stop("cannot append to SHIM_LOG");
        done += (size_t)n;
    }
}

static void emit_as_is(const struct op *op) {
    uint8_t kind = (uint8_t)op->kind, durable = op->durable;
    if (op->size > UINT32_MAX - 3 * PATH_MAX) stop("a single write is too large to record");
    buffer_used = 0;
    put_u32(0);
    put(&kind, 1);
    put(&durable, 1);
    put_u64(op->inode);
    put_u64(op->offset);
    put_u64(op->length);
    put_text(op->path);
    put_text(op->other);
    put_u32((uint32_t)op->size);
    put_parts(op->parts, op->part_count, op->size);
    uint32_t length = (uint32_t)(buffer_used - sizeof(uint32_t));
    memcpy(buffer, &length, sizeof length);
    append_to_log();
}

static void emit_untracked(const char *path, const char *why) {
    struct iovec reason = {(void *)why, strlen(why)};
    emit_as_is(&(struct op){.kind = UNTRACKED, .path = path, .parts = &reason, .part_count = 1, .size = strlen(why)});
}

/* Only the process that began the record is followed; what another one changes is flagged. */
static void emit(const struct op *op) {
    int saved = errno;
    if (syscall(SYS_getpid) == owner)
        emit_as_is(op);
    else
        switch (op->kind) {
        case SYNCED: case DATA_SYNCED: case RANGE_SYNCED: case ALL_SYNCED: case ACKED: case SENT:
            break;
        default:
            emit_untracked(op->path, "changed by another process");
        }
    errno = saved;
}

static void flag(const char *path, const char *why) {
    int saved = errno;
    emit_untracked(path, why);
    errno = saved;
}

/* ---- what is below SHIM_DIR ---- */

/* The path relative to SHIM_DIR, or null if it is none of ours. */
static const char *below(const char *absolute) {
    if (strncmp(absolute, root, root_length) != 0) return NULL;
    if (absolute[root_length] == 0) return "";
    if (absolute[root_length] != '/') return NULL;
    size_t length = strlen(absolute);
    if (length >= 4 && strcmp(absolute + length - 4, "-shm") == 0) return NULL;
    return absolute + root_length + 1;
}

static bool name_of(int fd, char out[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    if (n < 0) return false;
    out[n] = 0;
    return true;
}

static int raw_stat(int dir, const char *path, struct stat *out, int flags) {
    return (int)syscall(SYS_newfstatat, dir, path, out, flags);
}

struct subject {
    struct stat stat;
    char absolute[PATH_MAX];
    const char *path;
};

/* Whether fd is a file or directory below SHIM_DIR, and which. */
static bool tracked(int fd, struct subject *s) {
    int saved = errno;
    bool ours = false;
    if (recording && fd >= 0 && syscall(SYS_fstat, fd, &s->stat) == 0
        && (S_ISREG(s->stat.st_mode) || S_ISDIR(s->stat.st_mode)) && name_of(fd, s->absolute)) {
        size_t length = strlen(s->absolute), suffix = strlen(" (deleted)");
        if (s->stat.st_nlink == 0 && length > suffix && strcmp(s->absolute + length - suffix, " (deleted)") == 0)
            s->absolute[length - suffix] = 0;
        s->path = below(s->absolute);
        ours = s->path != NULL;
    }
    errno = saved;
    return ours;
}

/* Cheap, without the mutex: whether it is worth taking it for this descriptor. */
static bool may_matter(int fd) {
    if (!recording || fd < 0) return false;
    if (fd == 1) return true;
    struct stat st;
    int saved = errno;
    bool matters = syscall(SYS_fstat, fd, &st) == 0
        && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || (sockets && S_ISSOCK(st.st_mode)));
    errno = saved;
    return matters;
}

/* The parent resolved by the kernel, the last component as given: names, not what they point to. */
static bool resolve(int dir, const char *path, char out[PATH_MAX]) {
    char parent[PATH_MAX];
    int saved = errno;
    bool found = false;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    size_t start = length;
    while (start > 0 && path[start - 1] != '/') start--;
    if (length < PATH_MAX) {
        if (start == 0) strcpy(parent, ".");
        else { memcpy(parent, path, start); parent[start] = 0; }
        int fd = (int)syscall(SYS_openat, dir, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        if (fd >= 0) {
            if (name_of(fd, out)) {
                size_t used = strlen(out);
                if (used + 1 + (length - start) < PATH_MAX) {
                    if (used > 1) out[used++] = '/';
                    memcpy(out + used, path + start, length - start);
                    out[used + length - start] = 0;
                    found = true;
                }
            }
            syscall(SYS_close, fd);
        }
    }
    errno = saved;
    return found;
}

struct place {
    char absolute[PATH_MAX];
    const char *path; /* null: not ours */
    struct stat stat;
    bool exists;
};

static void locate(int dir, const char *path, struct place *p) {
    int saved = errno;
    p->path = resolve(dir, path, p->absolute) ? below(p->absolute) : NULL;
    p->exists = raw_stat(dir, path, &p->stat, AT_SYMLINK_NOFOLLOW) == 0;
    errno = saved;
}

/* ---- start ---- */

static void record_file(const char *absolute, const struct stat *st) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, absolute, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) stop("cannot read a file that was there at the start");
    size_t size = (size_t)st->st_size;
    void *bytes = NULL;
    if (size) {
        bytes = (void *)syscall(SYS_mmap, NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED) stop("cannot map a file that was there at the start");
    }
    struct iovec part = {bytes, size};
    emit(&(struct op){.kind = FOUND_FILE, .inode = st->st_ino, .length = size, .path = below(absolute),
                      .parts = &part, .part_count = 1, .size = size});
    if (size) syscall(SYS_munmap, bytes, size);
    syscall(SYS_close, fd);
}

static void record_tree(const char *absolute) {
    struct stat st;
    if (!below(absolute)) return;
    if (raw_stat(AT_FDCWD, absolute, &st, AT_SYMLINK_NOFOLLOW) != 0) stop("cannot see what was there at the start");
    if (S_ISREG(st.st_mode)) { record_file(absolute, &st); return; }
    if (!S_ISDIR(st.st_mode)) { flag(below(absolute), "neither file nor directory at the start"); return; }
    emit(&(struct op){.kind = FOUND_DIR, .inode = st.st_ino, .path = below(absolute)});
    DIR *dir = opendir(absolute);
    if (!dir) stop("cannot list a directory that was there at the start");
    for (struct dirent *entry; (entry = readdir(dir));) {
        char child[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (snprintf(child, sizeof child, "%s/%s", absolute, entry->d_name) >= PATH_MAX) stop("a path is too long");
        record_tree(child);
    }
    closedir(dir);
}

static void hold(void) { pthread_mutex_lock(&order); }
static void release(void) { pthread_mutex_unlock(&order); }
/* The forked child's thread has another id than the one that holds the mutex, so it cannot release it. */
static void release_in_child(void) { order = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; }

/* Of a record that exists, the process id of its first operation: an exec keeps the id and goes on. */
static pid_t owner_in_log(void) {
    uint64_t pid;
    if (syscall(SYS_pread64, log_fd, &pid, sizeof pid, 8 + 4 + 2) != sizeof pid) stop("SHIM_LOG is no record");
    return (pid_t)pid;
}

static void prepare(void) {
    const char *dir = getenv("SHIM_DIR"), *log = getenv("SHIM_LOG");
    struct stat st;
    if (!dir || !log) return;
    if (!realpath(dir, root) || raw_stat(AT_FDCWD, root, &st, 0) != 0) stop("SHIM_DIR does not exist");
    root_length = strlen(root);
    root_device = st.st_dev;
    sockets = getenv("SHIM_SOCKETS") != NULL;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) stop("cannot open SHIM_LOG");
    /* High, so that a program which hands out low descriptors by number does not meet it. */
    log_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 700);
    if (log_fd < 0) log_fd = fd; else syscall(SYS_close, fd);
    char where[PATH_MAX];
    if (!name_of(log_fd, where)) stop("/proc is needed");
    if (below(where)) stop("SHIM_LOG must lie outside SHIM_DIR");
    pthread_atfork(hold, release, release_in_child);
    if (syscall(SYS_fstat, log_fd, &st) != 0) stop("cannot look at SHIM_LOG");
    bool first = st.st_size == 0;
    if (first && syscall(SYS_write, log_fd, "TIDESHM1", 8) != 8) stop("cannot begin SHIM_LOG");
    owner = first ? (pid_t)syscall(SYS_getpid) : owner_in_log();
    if (owner == syscall(SYS_getpid)) emit(&(struct op){.kind = STARTED, .inode = (uint64_t)owner});
    if (first) record_tree(root);
    recording = true;
}

/* True with the mutex held, or false with nothing to do. */
static bool enter(void) {
    pthread_once(&prepared, prepare);
    if (!recording) return false;
    hold();
    return true;
}

static void leave(void) {
    int saved = errno;
    release();
    errno = saved;
}

__attribute__((constructor)) static void begin(void) { pthread_once(&prepared, prepare); }

/* ---- open ---- */

static int opened(int dir, const char *path, int flags, mode_t mode) {
    bool nameless = (flags & O_TMPFILE) == O_TMPFILE;
    if (!(flags & (O_CREAT | O_TRUNC)) && !nameless) return (int)syscall(SYS_openat, dir, path, flags, mode);
    if (!enter()) return (int)syscall(SYS_openat, dir, path, flags, mode);
    struct stat before;
    int saved = errno;
    bool existed = raw_stat(dir, path, &before, 0) == 0;
    errno = saved;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    struct subject s;
    if (fd >= 0 && tracked(fd, &s)) {
        if (nameless) emit(&(struct op){.kind = CREATED, .inode = s.stat.st_ino, .path = ""});
        else if (!existed) emit(&(struct op){.kind = CREATED, .inode = s.stat.st_ino, .path = s.path});
        else if ((flags & O_TRUNC) && S_ISREG(s.stat.st_mode))
            emit(&(struct op){.kind = RESIZED, .inode = s.stat.st_ino, .path = s.path});
    }
    leave();
    return fd;
}

static mode_t mode_in(int flags, va_list rest) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                                       \
    int name(const char *path, int flags, ...) {         \
        va_list rest;                                    \
        va_start(rest, flags);                           \
        mode_t mode = mode_in(flags, rest);              \
        va_end(rest);                                    \
        return opened(AT_FDCWD, path, flags, mode);      \
    }
#define OPENAT(name)                                          \
    int name(int dir, const char *path, int flags, ...) {     \
        va_list rest;                                         \
        va_start(rest, flags);                                \
        mode_t mode = mode_in(flags, rest);                   \
        va_end(rest);                                         \
        return opened(dir, path, flags, mode);                \
    }
OPEN(open)
OPEN(open64)
OPEN(__open)
OPEN(__open64)
OPENAT(openat)
OPENAT(openat64)

int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __openat_2(int dir, const char *path, int flags) { return opened(dir, path, flags, 0); }
int __openat64_2(int dir, const char *path, int flags) { return opened(dir, path, flags, 0); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static int made_temporary(int fd) {
    struct subject s;
    if (fd >= 0 && tracked(fd, &s)) emit(&(struct op){.kind = CREATED, .inode = s.stat.st_ino, .path = s.path});
    return fd;
}

#define MAKE_TEMPORARY(name, params, args)                          \
    int name params {                                               \
        int(*real) params = dlsym(RTLD_NEXT, #name);                \
        if (!enter()) return real args;                             \
        int fd = made_temporary(real args);                         \
        leave();                                                    \
        return fd;                                                  \
    }
MAKE_TEMPORARY(mkstemp, (char *t), (t))
MAKE_TEMPORARY(mkstemp64, (char *t), (t))
MAKE_TEMPORARY(mkostemp, (char *t, int f), (t, f))
MAKE_TEMPORARY(mkostemp64, (char *t, int f), (t, f))
MAKE_TEMPORARY(mkstemps, (char *t, int n), (t, n))
MAKE_TEMPORARY(mkstemps64, (char *t, int n), (t, n))
MAKE_TEMPORARY(mkostemps, (char *t, int n, int f), (t, n, f))
MAKE_TEMPORARY(mkostemps64, (char *t, int n, int f), (t, n, f))

/* libc writes its own streams without passing here, so a stream that may write is flagged. */
static FILE *opened_stream(FILE *file, const char *mode) {
    struct subject s;
    if (file && strpbrk(mode, "wa+") && tracked(fileno(file), &s)) flag(s.path, "opened as a stdio stream");
    return file;
}

#define OPEN_STREAM(name, params, args, mode)                       \
    FILE *name params {                                             \
        FILE *(*real) params = dlsym(RTLD_NEXT, #name);             \
        if (!enter()) return real args;                             \
        FILE *file = opened_stream(real args, mode);                \
        leave();                                                    \
        return file;                                                \
    }
OPEN_STREAM(fopen, (const char *p, const char *m), (p, m), m)
OPEN_STREAM(fopen64, (const char *p, const char *m), (p, m), m)
OPEN_STREAM(freopen, (const char *p, const char *m, FILE *f), (p, m, f), m)
OPEN_STREAM(freopen64, (const char *p, const char *m, FILE *f), (p, m, f), m)
OPEN_STREAM(fdopen, (int fd, const char *m), (fd, m), m)

/* ---- write ---- */

static bool is_socket(int fd) {
    struct stat st;
    return sockets && syscall(SYS_fstat, fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* After `n` bytes have been written; a position of -1 means the descriptor's own. */
static void written(int fd, const struct iovec *parts, int count, off_t position, int rwf, ssize_t n) {
    int saved = errno;
    struct subject s;
    if (n <= 0) return;
    if (tracked(fd, &s)) {
        int flags = (int)syscall(SYS_fcntl, fd, F_GETFL, 0);
        bool append = (flags & O_APPEND) || (rwf & RWF_APPEND);
        /* `s` was asked after the write and under the mutex, so an append ends where the file ends. */
        off_t end = append ? s.stat.st_size : position < 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : position + n;
        emit(&(struct op){.kind = WRITTEN, .durable = (flags & O_DSYNC) || (rwf & (RWF_DSYNC | RWF_SYNC)),
                          .inode = s.stat.st_ino, .offset = (uint64_t)(end - n), .length = (uint64_t)n, .path = s.path,
                          .parts = parts, .part_count = count, .size = (size_t)n});
    } else if (fd == 1 || is_socket(fd)) {
        struct stat st = {0};
        syscall(SYS_fstat, fd, &st);
        emit(&(struct op){.kind = fd == 1 ? ACKED : SENT, .inode = st.st_ino, .length = (uint64_t)n,
                          .parts = parts, .part_count = count, .size = (size_t)n});
    }
    errno = saved;
}

#define WRITE(fd, parts, count, position, rwf, ...)                 \
    if (!may_matter(fd) || !enter()) return syscall(__VA_ARGS__);   \
    ssize_t n = syscall(__VA_ARGS__);                               \
    written(fd, parts, count, position, rwf, n);                    \
    leave();                                                        \
    return n;

ssize_t write(int fd, const void *bytes, size_t size) {
    struct iovec part = {(void *)bytes, size};
    WRITE(fd, &part, 1, -1, 0, SYS_write, fd, bytes, size)
}
ssize_t __write(int fd, const void *bytes, size_t size) { return write(fd, bytes, size); }

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
    struct iovec part = {(void *)bytes, size};
    WRITE(fd, &part, 1, at, 0, SYS_pwrite64, fd, bytes, size, at)
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) { return pwrite(fd, bytes, size, at); }
ssize_t __pwrite64(int fd, const void *bytes, size_t size, off64_t at) { return pwrite(fd, bytes, size, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    WRITE(fd, parts, count, -1, 0, SYS_writev, fd, parts, count)
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    WRITE(fd, parts, count, at, 0, SYS_pwritev, fd, parts, count, at, 0)
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return pwritev(fd, parts, count, at); }

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int rwf) {
    WRITE(fd, parts, count, at, rwf, SYS_pwritev2, fd, parts, count, at, 0, rwf)
}
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t at, int rwf) {
    return pwritev2(fd, parts, count, at, rwf);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    struct iovec part = {(void *)bytes, size};
    WRITE(fd, &part, 1, -1, 0, SYS_sendto, fd, bytes, size, flags, NULL, 0)
}
ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t to_size) {
    struct iovec part = {(void *)bytes, size};
    WRITE(fd, &part, 1, -1, 0, SYS_sendto, fd, bytes, size, flags, to, to_size)
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    WRITE(fd, message->msg_iov, (int)message->msg_iovlen, -1, 0, SYS_sendmsg, fd, message, flags)
}

/* The kernel moved the bytes, so they are read back from where they went. */
static void copied(int fd, off_t at, ssize_t n) {
    struct subject s;
    int saved = errno;
    if (n <= 0) return;
    if (tracked(fd, &s)) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        int source = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
        size_t size = (size_t)n, done = 0;
        char *bytes = (char *)syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (source < 0 || bytes == MAP_FAILED) stop("cannot read back what was copied");
        while (done < size) {
            ssize_t got = syscall(SYS_pread64, source, bytes + done, size - done, at + (off_t)done);
            if (got <= 0) stop("cannot read back what was copied");
            done += (size_t)got;
        }
        struct iovec part = {bytes, size};
        written(fd, &part, 1, at, 0, n);
        syscall(SYS_munmap, bytes, size);
        syscall(SYS_close, source);
    } else if (fd == 1) {
        flag("", "an acknowledgement was not written but moved by the kernel");
    }
    errno = saved;
}

static off_t position_of(int fd) {
    int saved = errno;
    off_t at = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    errno = saved;
    return at;
}

ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t size, unsigned flags) {
    if (!may_matter(out) || !enter()) return syscall(SYS_copy_file_range, in, in_at, out, out_at, size, flags);
    off_t at = out_at ? *out_at : position_of(out);
    ssize_t n = syscall(SYS_copy_file_range, in, in_at, out, out_at, size, flags);
    copied(out, at, n);
    leave();
    return n;
}

ssize_t sendfile(int out, int in, off_t *in_at, size_t size) {
    if (!may_matter(out) || !enter()) return syscall(SYS_sendfile, out, in, in_at, size);
    off_t at = position_of(out);
    ssize_t n = syscall(SYS_sendfile, out, in, in_at, size);
    copied(out, at, n);
    leave();
    return n;
}
ssize_t sendfile64(int out, int in, off64_t *in_at, size_t size) { return sendfile(out, in, in_at, size); }

ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t size, unsigned flags) {
    if (!may_matter(out) || !enter()) return syscall(SYS_splice, in, in_at, out, out_at, size, flags);
    off_t at = out_at ? *out_at : position_of(out);
    ssize_t n = syscall(SYS_splice, in, in_at, out, out_at, size, flags);
    copied(out, at, n);
    leave();
    return n;
}

/* ---- size ---- */

int ftruncate(int fd, off_t size) {
    if (!may_matter(fd) || !enter()) return (int)syscall(SYS_ftruncate, fd, size);
    int failed = (int)syscall(SYS_ftruncate, fd, size);
    struct subject s;
    if (!failed && tracked(fd, &s))
        emit(&(struct op){.kind = RESIZED, .inode = s.stat.st_ino, .length = (uint64_t)size, .path = s.path});
    leave();
    return failed;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int truncate(const char *path, off_t size) {
    if (!enter()) return (int)syscall(SYS_truncate, path, size);
    int failed = (int)syscall(SYS_truncate, path, size);
    if (!failed) {
        struct subject s;
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
        if (tracked(fd, &s))
            emit(&(struct op){.kind = RESIZED, .inode = s.stat.st_ino, .length = (uint64_t)size, .path = s.path});
        if (fd >= 0) syscall(SYS_close, fd);
    }
    leave();
    return failed;
}
int truncate64(const char *path, off64_t size) { return truncate(path, size); }

static void allocated(const struct subject *s, int mode, off_t at, off_t length) {
    off_t end = at + length < s->stat.st_size ? at + length : s->stat.st_size;
    bool zeroes = (mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_PUNCH_HOLE
        || (mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE;
    if (mode == 0)
        emit(&(struct op){.kind = ALLOCATED, .inode = s->stat.st_ino, .offset = (uint64_t)at,
                          .length = (uint64_t)length, .path = s->path});
    else if (zeroes && end > at)
        emit(&(struct op){.kind = WRITTEN, .inode = s->stat.st_ino, .offset = (uint64_t)at,
                          .length = (uint64_t)(end - at), .path = s->path, .size = (size_t)(end - at)});
    else if (!zeroes && mode != FALLOC_FL_KEEP_SIZE)
        flag(s->path, "a range was collapsed, inserted or unshared");
}

int fallocate(int fd, int mode, off_t at, off_t length) {
    if (!may_matter(fd) || !enter()) return (int)syscall(SYS_fallocate, fd, mode, at, length);
    int failed = (int)syscall(SYS_fallocate, fd, mode, at, length);
    struct subject s;
    if (!failed && tracked(fd, &s)) allocated(&s, mode, at, length);
    leave();
    return failed;
}
int fallocate64(int fd, int mode, off64_t at, off64_t length) { return fallocate(fd, mode, at, length); }

int posix_fallocate(int fd, off_t at, off_t length) {
    int saved = errno;
    int result = fallocate(fd, 0, at, length) ? errno : 0;
    errno = saved;
    return result;
}
int posix_fallocate64(int fd, off64_t at, off64_t length) { return posix_fallocate(fd, at, length); }

/* ---- names ---- */

static int unlinked(int dir, const char *path, int flags) {
    if (!enter()) return (int)syscall(SYS_unlinkat, dir, path, flags);
    struct place p;
    locate(dir, path, &p);
    int failed = (int)syscall(SYS_unlinkat, dir, path, flags);
    if (!failed && p.path) emit(&(struct op){.kind = UNLINKED, .inode = p.stat.st_ino, .path = p.path});
    leave();
    return failed;
}

int unlink(const char *path) { return unlinked(AT_FDCWD, path, 0); }
int unlinkat(int dir, const char *path, int flags) { return unlinked(dir, path, flags); }
int rmdir(const char *path) { return unlinked(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    if (unlinked(AT_FDCWD, path, 0) == 0) return 0;
    return errno == EISDIR || errno == EPERM ? unlinked(AT_FDCWD, path, AT_REMOVEDIR) : -1;
}

static int renamed(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    if (!enter()) return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    struct place a, b;
    locate(from_dir, from, &a);
    locate(to_dir, to, &b);
    bool same = a.exists && b.exists && a.stat.st_ino == b.stat.st_ino && a.stat.st_dev == b.stat.st_dev;
    int failed = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (!failed && (a.path || b.path) && !same) {
        if (flags & ~RENAME_NOREPLACE) flag(a.path ? a.path : b.path, "names were exchanged");
        else if (!a.path || !b.path) flag(a.path ? a.path : b.path, "renamed across the edge of the directory");
        else emit(&(struct op){.kind = RENAMED, .inode = a.stat.st_ino, .path = a.path, .other = b.path});
    }
    leave();
    return failed;
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return renamed(from_dir, from, to_dir, to, 0);
}
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return renamed(from_dir, from, to_dir, to, flags);
}

/* After a call that made a name: reported with the inode that the name now has. */
static void named(int dir, const char *path, enum kind kind) {
    struct place p;
    locate(dir, path, &p);
    if (p.path && p.exists) emit(&(struct op){.kind = kind, .inode = p.stat.st_ino, .path = p.path});
}

int mkdirat(int dir, const char *path, mode_t mode) {
    if (!enter()) return (int)syscall(SYS_mkdirat, dir, path, mode);
    int failed = (int)syscall(SYS_mkdirat, dir, path, mode);
    if (!failed) named(dir, path, DIR_MADE);
    leave();
    return failed;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    if (!enter()) return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    int failed = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (!failed) named(to_dir, to, LINKED);
    leave();
    return failed;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *target, int dir, const char *path) {
    if (!enter()) return (int)syscall(SYS_symlinkat, target, dir, path);
    struct place p;
    int failed = (int)syscall(SYS_symlinkat, target, dir, path);
    if (!failed) {
        locate(dir, path, &p);
        if (p.path) flag(p.path, "a symbolic link was made");
    }
    leave();
    return failed;
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

int mknodat(int dir, const char *path, mode_t mode, dev_t device) {
    if (!enter()) return (int)syscall(SYS_mknodat, dir, path, mode, (unsigned)device);
    int failed = (int)syscall(SYS_mknodat, dir, path, mode, (unsigned)device);
    struct place p;
    if (!failed) {
        locate(dir, path, &p);
        if (p.path) flag(p.path, "a node was made");
    }
    leave();
    return failed;
}
int mknod(const char *path, mode_t mode, dev_t device) { return mknodat(AT_FDCWD, path, mode, device); }

/* ---- sync ---- */

static void synced(int fd, enum kind kind, off_t at, off_t length) {
    struct subject s;
    if (tracked(fd, &s))
        emit(&(struct op){.kind = kind, .inode = s.stat.st_ino, .offset = (uint64_t)at, .length = (uint64_t)length,
                          .path = s.path});
}

#define SYNC(fd, kind, at, length, ...)                                         \
    if (!may_matter(fd) || !enter()) return (int)syscall(__VA_ARGS__);          \
    int failed = (int)syscall(__VA_ARGS__);                                     \
    if (!failed) synced(fd, kind, at, length);                                  \
    leave();                                                                    \
    return failed;

int fsync(int fd) { SYNC(fd, SYNCED, 0, 0, SYS_fsync, fd) }
int fdatasync(int fd) { SYNC(fd, DATA_SYNCED, 0, 0, SYS_fdatasync, fd) }
int sync_file_range(int fd, off64_t at, off64_t length, unsigned flags) {
    SYNC(fd, RANGE_SYNCED, at, length, SYS_sync_file_range, fd, at, length, flags)
}

void sync(void) {
    if (!enter()) { syscall(SYS_sync); return; }
    syscall(SYS_sync);
    emit(&(struct op){.kind = ALL_SYNCED});
    leave();
}

int syncfs(int fd) {
    if (!enter()) return (int)syscall(SYS_syncfs, fd);
    struct stat st;
    int failed = (int)syscall(SYS_syncfs, fd);
    if (!failed && syscall(SYS_fstat, fd, &st) == 0 && st.st_dev == root_device)
        emit(&(struct op){.kind = ALL_SYNCED});
    leave();
    return failed;
}

/* ---- maps ---- */

void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t at) {
    int sharing = flags & MAP_TYPE;
    bool writes = (prot & PROT_WRITE) && (sharing == MAP_SHARED || sharing == MAP_SHARED_VALIDATE)
        && !(flags & MAP_ANONYMOUS);
    if (!writes || !may_matter(fd) || !enter()) return (void *)syscall(SYS_mmap, address, length, prot, flags, fd, at);
    void *map = (void *)syscall(SYS_mmap, address, length, prot, flags, fd, at);
    struct subject s;
    if (map != MAP_FAILED && tracked(fd, &s)) flag(s.path, "mapped shared and writable");
    leave();
    return map;
}
void *mmap64(void *address, size_t length, int prot, int flags, int fd, off64_t at) {
    return mmap(address, length, prot, flags, fd, at);
}
