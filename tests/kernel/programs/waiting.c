/* Waits in opens and connects while signals come, and says what each wait gave: run natively and in a session, the words are the same.
 *
 * waiting storm DIRECTORY THREADS SIGNALS restart|interrupt   several threads wait, signals go to the process
 * waiting once DIRECTORY restart|interrupt                    one thread waits, another is there and blocks nothing
 * waiting stopped DIRECTORY THREADS                           a job that waits is stopped and goes on
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *directory;
static atomic_int handled, opened, interrupted, strange;
static atomic_int over;

static void handler(int signal) { (void)signal; atomic_fetch_add(&handled, 1); }

static void handle(int signal, int restart) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = restart ? SA_RESTART : 0};
    sigaction(signal, &action, NULL);
}

static char *fifo(int number) {
    char *path;
    if (asprintf(&path, "%s/fifo-%d", directory, number) < 0) exit(2);
    if (mkfifo(path, 0600) && errno != EEXIST) exit(2);
    return path;
}

static void note(int result) {
    if (result >= 0) { atomic_fetch_add(&opened, 1); close(result); }
    else if (errno == EINTR) atomic_fetch_add(&interrupted, 1);
    else { atomic_store(&strange, errno); }
}

/* Opens until it is done; only a handler without SA_RESTART lets it fail before. */
static void *waiter(void *number) {
    char *path = fifo((int)(long)number);
    for (;;) {
        int end = open(path, O_RDONLY), again = end < 0 && errno == EINTR && !atomic_load(&over);
        note(end);
        if (!again) return NULL;
    }
}

static void write_to(int count) {
    for (int i = 0; i < count; i++) {
        char *path = fifo(i);
        /* A waiter may be between two tries: a FIFO without a reader is ENXIO. */
        for (int tries = 0; tries < 5000; tries++) {
            int end = open(path, O_WRONLY | O_NONBLOCK);
            if (end >= 0) { close(end); break; }
            usleep(1000);
        }
    }
}

static void storm(int threads, int signals, int restart) {
    pthread_t waiting[64];
    handle(SIGALRM, restart);
    for (long i = 0; i < threads; i++) pthread_create(&waiting[i], NULL, waiter, (void *)i);
    usleep(100000);
    for (int i = 0; i < signals; i++) {
        if (i % 3 == 2) pthread_kill(waiting[i % threads], SIGALRM);
        else kill(getpid(), SIGALRM);
        usleep(5000);
    }
    usleep(50000);
    write_to(threads);
    atomic_store(&over, 1);
    for (int i = 0; i < threads; i++) pthread_join(waiting[i], NULL);
    printf("strange %d, handled %s\n", strange, handled > 0 ? "yes" : "no");
    if (restart) printf("opened %d interrupted %d\n", opened, interrupted);
    else printf("interrupted %s\n", interrupted > 0 ? "yes" : "no");
}

/* Writes when a signal has come and the wait has had the time to go on, or to end. */
static void *later(void *path) {
    int end;
    while (!atomic_load(&handled)) usleep(1000);
    usleep(200000);
    do { end = open(path, O_WRONLY | O_NONBLOCK); } while (end < 0 && !atomic_load(&over));
    printf("reader %s\n", end >= 0 ? "there" : "gone");
    return NULL;
}

static void once(int restart) {
    pthread_t other;
    char *path = fifo(0);
    handle(SIGALRM, restart);
    pthread_create(&other, NULL, later, path);
    /* Again and again: one may come before the call has begun. */
    ualarm(100000, 100000);
    note(open(path, O_RDONLY));
    ualarm(0, 0);
    atomic_store(&over, 1);
    pthread_join(other, NULL);
    printf("opened %d interrupted %d strange %d\n", opened, interrupted, strange);
}

static void *pause_for_ever(void *unused) { for (;;) pause(); return unused; }

static void stopped(int threads) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread[64];
        setpgid(0, 0);
        for (long i = 1; i < threads; i++) pthread_create(&thread[i], NULL, i == 1 ? waiter : pause_for_ever, (void *)i);
        waiter((void *)0);
        if (threads > 1) pthread_join(thread[1], NULL);
        exit(7);
    }
    usleep(300000);
    for (int round = 0; round < 3; round++) {
        kill(child, round == 1 ? SIGSTOP : SIGTSTP);
        /* Natively at once; a job that never stops hangs a shell here. */
        for (int tries = 0; tries < 1500 && waitpid(child, &status, WUNTRACED | WNOHANG) != child; tries++) usleep(10000);
        printf("stopped %d\n", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
        status = 0;
        kill(child, SIGCONT);
        usleep(100000);
    }
    write_to(threads > 1 ? 2 : 1);
    alarm(10);
    waitpid(child, &status, 0);
    printf("ended %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

int main(int count, char **given) {
    if (count < 4) return 2;
    directory = given[2];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(given[1], "storm")) storm(atoi(given[3]), atoi(given[4]), !strcmp(given[5], "restart"));
    else if (!strcmp(given[1], "once")) once(!strcmp(given[3], "restart"));
    else stopped(atoi(given[3]));
    return 0;
}
