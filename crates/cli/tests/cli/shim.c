/* Loaded into `ta` before the system's library. Writes down, in order, what is written and flushed
   where (to the file that SHIM_LOG names), and lets the disk be full after SHIM_ROOM bytes. While
   the file that SHIM_FULL names is there the disk is full, too; while that of SHIM_BROKEN is there,
   flushes fail. At the SHIM_KILL_AT'th place where files are changed the process dies. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_fd = -1;
static long room = -1, kill_at = -1, places;
static const char *full, *broken;

static int is_there(const char *name) {
    return name && syscall(SYS_faccessat, AT_FDCWD, name, F_OK) == 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("SHIM_LOG"), *text = getenv("SHIM_ROOM");
    if (name) log_fd = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (text) room = atol(text);
    text = getenv("SHIM_KILL_AT");
    if (text) kill_at = atol(text);
    full = getenv("SHIM_FULL");
    broken = getenv("SHIM_BROKEN");
}

static void note(const char *what, const char *path, const char *text, size_t length) {
    if (log_fd < 0) return;
    char line[600];
    int used = snprintf(line, 500, "%s %s ", what, path);
    if (used > 499) used = 499;
    for (size_t n = 0; n < length && n < 60; n++) {
        char c = text[n];
        line[used++] = c >= 32 && c < 127 ? c : '.';
    }
    line[used++] = '\n';
    syscall(SYS_write, log_fd, line, used);
}

/* The name of what an open file number stands for. */
static void name_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
}

static int is_regular(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

/* Files are about to be changed here. */
static void place(void) {
    if (kill_at >= 0 && __atomic_add_fetch(&places, 1, __ATOMIC_SEQ_CST) == kill_at)
        syscall(SYS_kill, getpid(), SIGKILL);
}

/* Bytes that still fit; takes them. */
static long take(int fd, size_t length) {
    if (is_regular(fd)) place();
    if (is_there(full) && is_regular(fd)) return 0;
    if (room < 0 || !is_regular(fd)) return length;
    long fits = (long)length < room ? (long)length : room;
    room -= fits;
    return fits;
}

static void noted(const char *what, int fd, const void *bytes, size_t length) {
    if (log_fd < 0) return;
    char path[400];
    name_of(fd, path, sizeof path);
    note(what, path, bytes, length);
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(write);
    long fits = take(fd, length);
    if (fits == 0 && length > 0) { errno = ENOSPC; return -1; }
    noted("write", fd, bytes, fits);
    return real(fd, bytes, fits);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    noted("write", fd, count ? parts[0].iov_base : "", count ? parts[0].iov_len : 0);
    return real(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    REAL(pwrite);
    long fits = take(fd, length);
    if (fits == 0 && length > 0) { errno = ENOSPC; return -1; }
    noted("write", fd, "", 0);
    return real(fd, bytes, fits, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    REAL(pwrite64);
    long fits = take(fd, length);
    if (fits == 0 && length > 0) { errno = ENOSPC; return -1; }
    noted("write", fd, "", 0);
    return real(fd, bytes, fits, at);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    REAL(send);
    noted("send", fd, bytes, length);
    return real(fd, bytes, length, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(sendmsg);
    noted("send", fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
    return real(fd, message, flags);
}

/* Noted when they have returned. */
int fsync(int fd) {
    REAL(fsync);
    if (is_regular(fd)) place();
    if (is_there(broken) && is_regular(fd)) { errno = EIO; return -1; }
    int result = real(fd);
    if (result == 0) noted("flushed", fd, "", 0);
    return result;
}

int fdatasync(int fd) {
    REAL(fdatasync);
    if (is_regular(fd)) place();
    if (is_there(broken) && is_regular(fd)) { errno = EIO; return -1; }
    int result = real(fd);
    if (result == 0) noted("flushed", fd, "", 0);
    return result;
}

int unlink(const char *path) {
    REAL(unlink);
    place();
    int result = real(path);
    if (result == 0) note("removed", path, "", 0);
    return result;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    place();
    return real(from, to);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    REAL(linkat);
    place();
    return real(from_fd, from, to_fd, to, flags);
}

int ftruncate64(int fd, off64_t length) {
    REAL(ftruncate64);
    place();
    return real(fd, length);
}
