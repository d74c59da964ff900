/*
 * What the recorder is tried on: writes below argv[2] in the manner of argv[1]. Its acknowledgements are
 * "acked FILE BYTES": those first bytes of FILE were promised to survive.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void need(int truth, const char *what) {
    if (truth) return;
    perror(what);
    exit(1);
}
#define NEED(call) need((call) >= 0, #call)

static void ack(const char *file, size_t size) {
    char line[256];
    int n = snprintf(line, sizeof line, "acked %s %zu\n", file, size);
    NEED(write(1, line, (size_t)n));
}

static void sync_dir(const char *path) {
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    NEED(dir);
    NEED(fsync(dir));
    close(dir);
}

/* Records of 700 bytes, so that most straddle sectors; with `early` the promise is given too soon. */
static void append_log(const char *name, int early) {
    char record[700];
    int fd = open(name, O_CREAT | O_WRONLY | O_APPEND, 0644);
    NEED(fd);
    sync_dir(".");
    for (int i = 0; i < 20; i++) {
        memset(record, 'a' + i, sizeof record);
        NEED(write(fd, record, sizeof record));
        if (early) ack(name, sizeof record * (size_t)(i + 1));
        NEED(fdatasync(fd));
        if (!early) ack(name, sizeof record * (size_t)(i + 1));
    }
    close(fd);
}

static void *append_thread(void *name) {
    append_log(name, 0);
    return NULL;
}

static void threads(void) {
    pthread_t handle[4];
    char *names[] = {"one", "two", "three", "four"};
    for (int i = 0; i < 4; i++) pthread_create(&handle[i], NULL, append_thread, names[i]);
    for (int i = 0; i < 4; i++) pthread_join(handle[i], NULL);
}

/* Every way of changing a file or a name that can be followed. */
static void everything(void) {
    char block[3000], temporary[] = "tempXXXXXX";
    memset(block, 'x', sizeof block);
    struct iovec parts[2] = {{block, 100}, {block, 200}};
    int fd = open("found", O_RDWR | O_CREAT, 0644);
    NEED(fd);
    NEED(pwrite(fd, "FOUND", 5, 1));
    int again = dup(fd);
    NEED(writev(again, parts, 2));
    int third = fcntl(fd, F_DUPFD_CLOEXEC, 50);
    NEED(pwritev(third, parts, 2, 5000));
    NEED(pwritev2(third, parts, 2, 6000, RWF_DSYNC));
    NEED(ftruncate(fd, 6100));
    NEED(fallocate(fd, 0, 8000, 100));
    NEED(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 50, 100));
    NEED(fallocate(fd, FALLOC_FL_KEEP_SIZE, 9000, 100));
    need(posix_fallocate(fd, 8000, 1000) == 0, "posix_fallocate");
    int both = open("found", O_RDWR | O_APPEND | O_DSYNC);
    NEED(write(both, "tail", 4));
    NEED(pwrite(both, "more", 4, 0));
    int copy = creat("copy", 0600);
    NEED(copy);
    off_t from = 0;
    need(sendfile(copy, fd, &from, 4000) == 4000, "sendfile");
    off64_t here = 0, there = 9000;
    need(copy_file_range(fd, &here, copy, &there, 2000, 0) == 2000, "copy_file_range");
    need(copy_file_range(fd, &here, copy, NULL, 100, 0) == 100, "copy_file_range");
    NEED(mkdir("dir", 0755));
    NEED(mkdir("dir/deep/", 0755));
    NEED(link("copy", "dir/linked"));
    NEED(rename("copy", "dir/../dir/deep/renamed"));
    NEED(rename("dir/deep", "moved"));
    NEED(unlink("dir/linked"));
    NEED(rmdir("dir"));
    int dir = open(".", O_RDONLY | O_DIRECTORY);
    int below = openat(dir, "moved/new", O_CREAT | O_EXCL | O_WRONLY, 0644);
    NEED(write(below, block, sizeof block));
    NEED(renameat(dir, "moved/new", AT_FDCWD, "newer"));
    NEED(truncate("newer", 2000));
    int made = mkstemp(temporary);
    NEED(write(made, "temporary", 9));
    NEED(unlinkat(dir, temporary, 0));
    NEED(write(made, "deleted", 7));
    int nameless = open(".", O_TMPFILE | O_WRONLY, 0644);
    NEED(write(nameless, "nameless", 8));
    char link_name[64];
    snprintf(link_name, sizeof link_name, "/proc/self/fd/%d", nameless);
    NEED(linkat(AT_FDCWD, link_name, dir, "named", AT_SYMLINK_FOLLOW));
    int emptied = open("newer", O_WRONLY | O_TRUNC);
    NEED(write(emptied, "short", 5));
    NEED(sync_file_range(emptied, 0, 0, SYNC_FILE_RANGE_WRITE));
    /* SQLite's shared memory is none of our business. */
    int shm = open("db-shm", O_CREAT | O_RDWR, 0644);
    NEED(ftruncate(shm, 4096));
    need(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shm, 0) != MAP_FAILED, "mmap");
}

/* New contents under the old name, the careful way or without syncing what is renamed. */
static void replace(int careful) {
    char block[2000];
    memset(block, 'n', sizeof block);
    int fd = open("fresh", O_CREAT | O_WRONLY | O_TRUNC, 0644);
    NEED(write(fd, block, sizeof block));
    if (careful) NEED(fsync(fd));
    close(fd);
    NEED(rename("fresh", "settled"));
    sync_dir(".");
    ack("settled", sizeof block);
}

/* Each is to be flagged. */
static void untracked(void) {
    int fd = open("mapped", O_CREAT | O_RDWR, 0644);
    NEED(ftruncate(fd, 4096));
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    map[0] = 'm';
    FILE *stream = fopen("streamed", "w");
    fclose(stream);
    NEED(symlink("mapped", "pointer"));
    NEED(rename("mapped", "../shim-out"));
    if (fork() == 0) {
        int other = open("forked", O_CREAT | O_WRONLY, 0644);
        NEED(write(1, "acked by a child\n", 17));
        _exit(other < 0);
    }
    wait(NULL);
}

static void answer(void) {
    int pair[2];
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    NEED(send(pair[0], "200 ", 4, MSG_NOSIGNAL));
    NEED(write(pair[0], "OK", 2));
}

int main(int count, char **args) {
    assert(count == 3);
    NEED(chdir(args[2]));
    if (strcmp(args[1], "careful") == 0) append_log("log", 0);
    else if (strcmp(args[1], "early") == 0) append_log("log", 1);
    else if (strcmp(args[1], "threads") == 0) threads();
    else if (strcmp(args[1], "everything") == 0) everything();
    else if (strcmp(args[1], "replace") == 0) replace(1);
    else if (strcmp(args[1], "replace-unsynced") == 0) replace(0);
    else if (strcmp(args[1], "untracked") == 0) untracked();
    else if (strcmp(args[1], "answer") == 0) answer();
    else if (strcmp(args[1], "killed") == 0) { append_log("log", 0); kill(getpid(), SIGKILL); }
    else need(0, "unknown manner");
    return 0;
}
