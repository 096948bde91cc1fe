/* Micro figures: prints nanoseconds for each open+close and each spawn of a trivial program, median of rounds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
static void open_close(const char *path) { int f = open(path, O_RDONLY); if (f < 0) exit(1); close(f); }
static void create_unlink(const char *path) { int f = open(path, O_CREAT | O_WRONLY, 0644); if (f < 0) exit(1); close(f); unlink(path); }
static void status(const char *path) { struct stat st; if (stat(path, &st)) exit(1); }
static void spawn(const char *path) {
    pid_t child; int code; char *arguments[] = {(char *)path, NULL};
    if (posix_spawn(&child, path, NULL, NULL, arguments, environ)) exit(1);
    waitpid(child, &code, 0);
}
static int order(const void *a, const void *b) { double x = *(double *)a, y = *(double *)b; return (x > y) - (x < y); }
int main(int count, char **a) {
    if (count != 4) return 64; /* KIND PATH EACH */
    void (*act)(const char *) = !strcmp(a[1], "open") ? open_close : !strcmp(a[1], "create") ? create_unlink : !strcmp(a[1], "stat") ? status : spawn;
    enum { ROUNDS = 11 };
    double rounds[ROUNDS];
    long each = atol(a[3]);
    for (int r = 0; r < ROUNDS; r++) {
        double begin = now();
        for (long i = 0; i < each; i++) act(a[2]);
        rounds[r] = (now() - begin) / (double)each;
    }
    qsort(rounds, ROUNDS, sizeof *rounds, order);
    printf("%.1f\n", rounds[ROUNDS / 2]);
    return 0;
}
