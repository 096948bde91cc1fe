// Races for a name between a session and somebody outside, who never destroys anything that has content.
// inside unlink|rename|truncate SECONDS: two threads lose whatever has the name. outside SECONDS: puts numbered files there; says how many.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double until;
static const char *kind;
static long acts;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static int written(const char *name, const char *text) {
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0)
        return -1;
    int done = write(file, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
    close(file);
    return done;
}

static void *lose(void *name) {
    while (now() < until) {
        int done = -1;
        if (!strcmp(kind, "unlink"))
            done = unlink("target");
        else if (!strcmp(kind, "rename"))
            done = written(name, "session") == 0 ? rename(name, "target") : -1;
        else {
            int file = open("target", O_WRONLY | O_TRUNC);
            if (file >= 0)
                done = close(file);
        }
        if (done == 0)
            __atomic_add_fetch(&acts, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static int moved(unsigned flags) { return (int)syscall(SYS_renameat2, AT_FDCWD, "spare", AT_FDCWD, "target", flags); }

static long put(void) {
    long number = 0;
    int spare = 0;
    char text[32];
    while (now() < until) {
        if (!spare) {
            snprintf(text, sizeof text, "outside %ld\n", ++number);
            if (written("spare", text) != 0)
                abort();
            spare = 1;
        }
        if (moved(RENAME_NOREPLACE) == 0) {
            spare = 0;
            continue;
        }
        if (moved(RENAME_EXCHANGE) != 0)
            continue;
        char found[8] = "";
        int file = open("spare", O_RDONLY);
        ssize_t count = file < 0 ? 0 : read(file, found, 7);
        if (file >= 0)
            close(file);
        if (count < 7 || strncmp(found, "outside", 7) != 0) {
            unlink("spare"); // the session's own, or what it has emptied
            spare = 0;
        }
    }
    return number;
}

int main(int count, char **words) {
    if (count < 3)
        return 2;
    until = now() + atof(words[count - 1]);
    if (!strcmp(words[1], "outside")) {
        printf("%ld\n", put());
        return 0;
    }
    kind = words[2];
    pthread_t threads[2];
    char *names[] = {"own-0", "own-1"};
    for (int each = 0; each < 2; each++)
        pthread_create(&threads[each], NULL, lose, names[each]);
    for (int each = 0; each < 2; each++)
        pthread_join(threads[each], NULL);
    printf("%ld\n", acts);
    return 0;
}
