/* Races at the system-call boundary: one thread makes the call over and over, another swaps what the call reads.
 * Prints `tries swaps wins` at the end; a win is judged by the secret's first bytes (read races), or by the outside (exec races,
 * where the forbidden program leaves its mark). Runs bounded: TRIES tries, or SECONDS, whichever is first. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static char path[4096];
static const char *allowed, *secret, *one, *two;
static atomic_long swaps;
static atomic_int stop;

static void *swap_text(void *unused) {
    size_t at = 0;
    while (allowed[at] == secret[at]) at++;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        memcpy(path + at, secret + at, strlen(secret) - at + 1);
        memcpy(path + at, allowed + at, strlen(allowed) - at + 1);
        atomic_fetch_add_explicit(&swaps, 1, memory_order_relaxed);
    }
    return unused;
}

static void *swap_names(void *unused) { /* exchange a directory with a symlink to the secret's directory */
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        if (!syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, two, RENAME_EXCHANGE))
            atomic_fetch_add_explicit(&swaps, 1, memory_order_relaxed);
    return unused;
}

static const char *inner;
static atomic_long planted;

/* Rename a directory to the protected name and back; whoever finds a file in it there has won. */
static void *swap_home(void *unused) {
    char found[4096];
    snprintf(found, sizeof found, "%s/%s", two, inner);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        if (rename(one, two)) continue;
        atomic_fetch_add_explicit(&swaps, 1, memory_order_relaxed);
        if (!access(found, F_OK)) atomic_fetch_add(&planted, 1);
        if (rename(two, one)) continue;
    }
    return unused;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int is_secret(const char *name) {
    char text[8] = {0};
    int file = open(name, O_RDONLY);
    if (file < 0) return 0;
    ssize_t n = read(file, text, 6);
    close(file);
    return n == 6 && !memcmp(text, "SECRET", 6);
}

static int lays(const char *name) { /* write races: what is written through the name lands in the protected place, judged outside */
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0) return 0;
    if (write(file, "OWNED", 5) != 5) abort();
    close(file);
    return 0;
}

static int home = -1; /* the directory that is exchanged, held: what a try made in it is taken away by it */

/* Undoes what this turn did in that directory: no more, for each of these calls is one that nobody races. */
static void clear(long turn) {
    switch (turn % 14) {
    case 0: unlinkat(home, "pre-commit", AT_REMOVEDIR); break;
    case 1: case 2: case 3: case 4: unlinkat(home, "pre-commit", 0); break;
    case 11: unlinkat(home, "pre-commit", 0); /* fall through */
    case 10: close(openat(home, "post-merge", O_WRONLY | O_CREAT, 0644)); break;
    }
}

/* Each call that makes, moves, removes or changes by name, in turn: one name that is not there, one that is. */
static void one_by_name(long turn) {
    char absent[4096], present[4096], spare[4096];
    struct timespec past[2] = {{1, 0}, {1, 0}};
    snprintf(absent, sizeof absent, "%s/pre-commit", one);
    snprintf(present, sizeof present, "%s/post-merge", one);
    snprintf(spare, sizeof spare, "%s/../spare", one);
    switch (turn % 14) {
    case 0: mkdir(absent, 0755); break;
    case 1: mknod(absent, S_IFIFO | 0644, 0); break;
    case 2: symlink("x", absent); break;
    case 3: link(spare, absent); break;
    case 4: close(open(absent, O_WRONLY | O_CREAT | O_EXCL, 0644)); break;
    case 5: close(open(present, O_WRONLY | O_TRUNC)); break;
    case 6: truncate(present, 0); break;
    case 7: chmod(present, 0777); break;
    case 8: setxattr(present, "user.owned", "1", 1, 0); break;
    case 9: utimensat(AT_FDCWD, present, past, 0); break;
    case 10: unlink(present); break;
    case 11: rename(present, absent); break;
    case 12: rename(spare, present); close(open(spare, O_WRONLY | O_CREAT, 0644)); break;
    case 13: syscall(452, AT_FDCWD, present, 0777, 0); break;
    }
}

/* Puts something at the name, in the way that the kind says. */
static void put(const char *kind, const char *name) {
    char spare[4096];
    snprintf(spare, sizeof spare, "%s/../spare", one);
    if (!strcmp(kind, "rename-under-bind")) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int server = socket(AF_UNIX, SOCK_STREAM, 0);
        strncpy(address.sun_path, name, sizeof address.sun_path - 1);
        bind(server, (struct sockaddr *)&address, sizeof address);
        close(server);
    } else if (!strcmp(kind, "rename-under-link")) {
        link(spare, name);
    } else if (!strcmp(kind, "rename-under-rename")) {
        close(open(spare, O_WRONLY | O_CREAT, 0644));
        rename(spare, name);
    } else {
        close(open(name, O_WRONLY | O_CREAT, 0644));
    }
}

static char argument[256];
static char *arguments[] = {NULL, argument, NULL};

static int run_once(const char *name) {
    pid_t child = vfork(); /* shares memory with the swapper, so the name can change under the kernel's feet */
    if (child == 0) {
        arguments[0] = (char *)name;
        execv(name, arguments);
        _exit(126);
    }
    int status;
    if (child > 0) waitpid(child, &status, 0);
    return 0;
}

int main(int count, char **a) {
    if (count < 7) return 64; /* KIND ALLOWED SECRET ONE TWO TRIES [SECONDS] */
    const char *kind = a[1];
    allowed = a[2], secret = a[3], one = a[4], two = a[5];
    long tries = atol(a[6]), done = 0, wins = 0;
    double until = now() + (count > 7 ? atof(a[7]) : 1e9);
    pthread_t swapper;
    strcpy(path, allowed);
    int by_name = strstr(kind, "-exchange") != NULL;
    home = open(one, O_RDONLY | O_DIRECTORY);
    inner = secret;
    int under = !strncmp(kind, "rename-under", 12);
    pthread_create(&swapper, NULL, under ? swap_home : by_name ? swap_names : swap_text, NULL);
    for (; done < tries && now() < until; done++) {
        if (!strcmp(kind, "read-text")) wins += is_secret(path);
        else if (!strcmp(kind, "read-exchange")) wins += is_secret(allowed);
        else if (!strcmp(kind, "write-text")) lays(path);
        else if (!strcmp(kind, "write-exchange")) lays(allowed);
        else if (under) {
            put(kind, allowed);
            unlinkat(home, inner, 0);
        } else if (!strcmp(kind, "names-exchange")) one_by_name(done), clear(done);
        else if (!strcmp(kind, "exec-text")) run_once(path);
        else return 64;
    }
    atomic_store(&stop, 1);
    pthread_join(swapper, NULL);
    printf("%ld %ld %ld\n", done, (long)swaps, wins + (long)planted);
    return 0;
}
