/* Races an exec: a second thread (or process) changes path, argument or symlink between good (`a`) and evil (`b`) while the first one execs.
 *
 * race_exec path|argument|link DIRECTORY TRIES
 * DIRECTORY holds `prog-a` and `prog-b`; each writes its own letter (in argument mode: the last letter of its argument) to descriptor 3.
 * Prints `tries swaps ran_a ran_b killed refused other`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile char *flipped;
static atomic_long *swaps;

static void *flip(void *unused)
{
    (void)unused;
    for (;;) {
        *flipped = 'b';
        atomic_fetch_add(swaps, 1);
        for (volatile int i = 0; i < 50; i++) { }
        *flipped = 'a';
        for (volatile int i = 0; i < 50; i++) { }
    }
    return NULL;
}

static void exchange(const char *directory)
{
    char a[256], b[256], link[256], spare[256];
    snprintf(a, sizeof a, "%s/prog-a", directory);
    snprintf(b, sizeof b, "%s/prog-b", directory);
    snprintf(link, sizeof link, "%s/link", directory);
    snprintf(spare, sizeof spare, "%s/spare", directory);
    for (;;) {
        unlink(spare);
        if (symlink(b, spare) == 0 && rename(spare, link) == 0)
            atomic_fetch_add(swaps, 1);
        if (symlink(a, spare) == 0)
            rename(spare, link);
    }
}

int main(int count, char **arguments)
{
    if (count != 4)
        return 2;
    const char *mode = arguments[1], *directory = arguments[2];
    long tries = atol(arguments[3]), ran_a = 0, ran_b = 0, killed = 0, refused = 0, other = 0;
    int ends[2];
    if (pipe(ends) != 0)
        return 2;
    swaps = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char path[256], word[] = "word-a";
    snprintf(path, sizeof path, "%s/%s", directory, strcmp(mode, "link") == 0 ? "link" : "prog-a");
    flipped = strcmp(mode, "path") == 0 ? &path[strlen(path) - 1] : &word[5];
    pid_t exchanger = 0;
    if (strcmp(mode, "link") == 0 && (exchanger = fork()) == 0)
        exchange(directory);
    for (long i = 0; i < tries; i++) {
        pid_t child = fork();
        if (child == 0) {
            pthread_t thread;
            char *const given[] = { "prog", word, NULL };
            dup2(ends[1], 3);
            long before = atomic_load(swaps);
            if (strcmp(mode, "link") != 0) {
                pthread_create(&thread, NULL, flip, NULL);
                while (atomic_load(swaps) == before)
                    usleep(10);
            }
            for (volatile int j = 0; j < (i % 40) * 100; j++) { }
            execv(path, given);
            _exit(errno == EACCES ? 113 : 114);
        }
        int status;
        waitpid(child, &status, 0);
        char letter = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && read(ends[0], &letter, 1) == 1) {
            if (letter == 'a') ran_a++; else ran_b++;
        } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) killed++;
        else if (WIFEXITED(status) && WEXITSTATUS(status) == 113) refused++;
        else other++;
    }
    if (exchanger > 0) {
        kill(exchanger, SIGKILL);
        waitpid(exchanger, NULL, 0);
    }
    printf("%ld %ld %ld %ld %ld %ld %ld\n", tries, atomic_load(swaps), ran_a, ran_b, killed, refused, other);
    return 0;
}
