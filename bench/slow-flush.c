/* A slower disk: every flush takes SLOW_FLUSH_US microseconds more, for whoever is started with this.
 *
 *   cc -shared -fPIC -o slow-flush.so bench/slow-flush.c -ldl
 *   SLOW_FLUSH_US=150 LD_PRELOAD=$PWD/slow-flush.so cargo xtask bench add-version
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_longer(void) {
    const char *text = getenv("SLOW_FLUSH_US");
    struct timespec time = {0, text ? atol(text) * 1000 : 0};
    nanosleep(&time, 0);
}

int fdatasync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    wait_longer();
    return real(file);
}

int fsync(int file) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    wait_longer();
    return real(file);
}
