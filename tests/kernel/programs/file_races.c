/* Races one file call against a directory that is exchanged with a symlink to a protected one, or against the rename of its parent.
 *
 *   file_races KIND SECONDS      in a folder that holds `d/f`, `link` -> the protected folder, and for `rename-parent` nothing
 *   file_races swap SECONDS      only exchanges `d` and `link`
 *
 * Prints tries, calls that succeeded, and swaps that landed. Who has won is judged outside, by what the protected folder holds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_int over;
static atomic_long swaps;

static void *swapper(void *unused) {
    (void)unused;
    while (!over)
        if (syscall(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "link", 2 /* RENAME_EXCHANGE */) == 0) swaps++;
    return NULL;
}

static void *mover(void *unused) {
    (void)unused;
    while (!over) {
        if (rename("prepared", "hooks") == 0) swaps++;
        rename("hooks", "prepared");
    }
    return NULL;
}

static int try_once(const char *kind, long round) {
    char name[64], byte;
    int fd;
    if (!strcmp(kind, "read")) {
        if ((fd = open("d/f", O_RDONLY)) < 0) return 0;
        ssize_t got = pread(fd, &byte, 1, 0);
        close(fd);
        if (got == 1 && byte == 'S') printf("WON\n");
        return 1;
    }
    if (!strcmp(kind, "write")) {
        if ((fd = open("d/f", O_WRONLY)) < 0) return 0;
        byte = 'X';
        if (pwrite(fd, &byte, 1, 0) != 1) perror("pwrite");
        close(fd);
        return 1;
    }
    if (!strcmp(kind, "create")) {
        snprintf(name, sizeof name, "d/new%ld", round % 64);
        if ((fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600)) < 0) {
            if (errno == EEXIST) unlink(name);
            return 0;
        }
        close(fd);
        unlink(name);
        return 1;
    }
    if (!strcmp(kind, "truncate")) return truncate("d/f", 1) == 0;
    if (!strcmp(kind, "chmod")) return chmod("d/f", 0640) == 0;
    if (!strcmp(kind, "unlink")) {
        int gone = unlink("d/f") == 0;
        if ((fd = open("d/f", O_CREAT | O_WRONLY, 0600)) >= 0) close(fd);
        return gone;
    }
    if (!strcmp(kind, "rename")) {
        if ((fd = open("mine", O_CREAT | O_WRONLY, 0600)) >= 0) {
            if (write(fd, "X", 1) != 1) perror("write");
            close(fd);
        }
        return rename("mine", "d/f") == 0;
    }
    if (!strcmp(kind, "link")) {
        snprintf(name, sizeof name, "stolen%ld", round % 64);
        int made = link("d/f", name) == 0;
        unlink(name);
        return made;
    }
    if (!strcmp(kind, "mkdir")) {
        if (mkdir("d/sub", 0700) == 0) return 1;
        rmdir("d/sub");
        return 0;
    }
    if (!strcmp(kind, "rename-parent")) { /* a hook made while its folder becomes the folder of hooks */
        int directory = open("prepared", O_RDONLY | O_DIRECTORY);
        if (directory < 0) return 0;
        fd = openat(directory, "planted", O_CREAT | O_EXCL | O_WRONLY, 0700);
        if (fd >= 0) close(fd);
        struct stat found;
        if (stat("hooks/planted", &found) == 0) {
            char magic[64], now[4096] = "";
            snprintf(magic, sizeof magic, "/proc/self/fd/%d", directory);
            if (readlink(magic, now, sizeof now - 1) < 0) perror("readlink");
            printf("WON: made %d, the folder is now called %s\n", fd >= 0, now);
        }
        unlinkat(directory, "planted", 0);
        close(directory);
        return fd >= 0;
    }
    fprintf(stderr, "unknown kind %s\n", kind);
    exit(2);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    double seconds = atof(argv[2]);
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pthread_t thread;
    int swap_only = !strcmp(argv[1], "swap");
    if (swap_only) pthread_create(&thread, NULL, swapper, NULL);
    else pthread_create(&thread, NULL, strcmp(argv[1], "rename-parent") ? swapper : mover, NULL);
    long tries = 0, done = 0;
    do {
        if (swap_only) usleep(1000);
        else {
            tries++;
            done += try_once(argv[1], tries);
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) + (now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
    over = 1;
    pthread_join(thread, NULL);
    printf("%ld %ld %ld\n", tries, done, (long)swaps);
    return 0;
}
