/* Calls that the door answers, under signals whose handler was set without SA_RESTART: how many end in EINTR, and whether one that did was done.
 *
 * interrupted FOLDER PROCESSES MILLISECONDS INTERVAL_US [SPIN]
 * Each process makes the same round of calls in a folder of its own. INTERVAL_US 0: no signals. SPIN: loops of own work between calls.
 * Prints `calls N signals N interrupted N wrong N`; a call that says EINTR and was done all the same makes the next one wrong. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct counts { long calls, signals, interrupted, wrong; };
static struct counts *own;
static volatile sig_atomic_t seen;

static void on_alarm(int number) { (void)number; seen++; }

static long milliseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Repeats a call while it is interrupted. Any other failure is wrong and the end: said over and over, it would fill a pipe that nobody empties. */
#define DO(call) do { \
    for (;;) { \
        own->calls++; \
        if ((call) >= 0) break; \
        if (errno == EINTR) { own->interrupted++; continue; } \
        own->wrong++; \
        fprintf(stderr, "%s: %s\n", #call, strerror(errno)); \
        _exit(1); \
    } \
} while (0)

static void work(const char *folder, int number, long until, long spin) {
    char place[512], one[600], two[600];
    snprintf(place, sizeof place, "%s/p%d", folder, number);
    snprintf(one, sizeof one, "%s/one", place);
    snprintf(two, sizeof two, "%s/two", place);
    DO(mkdir(place, 0755));
    while (milliseconds() < until) {
        int file = -1;
        char byte;
        DO(mkdir(one, 0700));
        DO(chmod(one, 0755));
        DO(rename(one, two));
        DO(rmdir(two));
        DO(file = open(one, O_CREAT | O_EXCL | O_RDWR, 0600));
        if (file >= 0) close(file);
        DO(file = open(one, O_RDONLY));
        if (file >= 0) {
            if (read(file, &byte, 1) != 0) own->wrong++;
            close(file);
        }
        DO(unlink(one));
        DO(kill(getpid(), 0));
        for (volatile long i = 0; i < spin; i++) {}
    }
    DO(rmdir(place));
    own->signals = seen;
}

static void alarms(long interval) {
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {{0, interval}, {0, interval}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

int main(int count, char **a) {
    if (count < 5) return 64;
    int processes = atoi(a[2]);
    long until = milliseconds() + atol(a[3]), interval = atol(a[4]), spin = count > 5 ? atol(a[5]) : 0;
    struct counts *all = mmap(NULL, sizeof *all * (size_t)processes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return 1;
    for (int number = 0; number < processes; number++) {
        own = all + number;
        if (fork() == 0) {
            if (interval > 0) alarms(interval);
            work(a[1], number, until, spin);
            _exit(0);
        }
    }
    int status, failed = 0;
    while (wait(&status) > 0) failed |= status;
    struct counts sum = {0};
    for (int number = 0; number < processes; number++) {
        sum.calls += all[number].calls;
        sum.signals += all[number].signals;
        sum.interrupted += all[number].interrupted;
        sum.wrong += all[number].wrong;
    }
    printf("calls %ld signals %ld interrupted %ld wrong %ld\n", sum.calls, sum.signals, sum.interrupted, sum.wrong);
    return failed != 0;
}
