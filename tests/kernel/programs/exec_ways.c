/* Every way to exec, many times: exec_ways TRIES PROGRAM. Prints one line for each way: its name, how often it worked, how often not. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *given[] = { "prog", NULL };
static const char *program;

static void *exec_here(void *unused)
{
    (void)unused;
    execv(program, given);
    _exit(99);
}

static pid_t by_fork(void) { pid_t child = fork(); if (child == 0) exec_here(NULL); return child; }
static pid_t by_vfork(void) { pid_t child = vfork(); if (child == 0) { execv(program, given); _exit(99); } return child; }
static pid_t by_spawn(void) { pid_t child; return posix_spawn(&child, program, NULL, NULL, given, environ) == 0 ? child : -1; }

static pid_t by_thread(void)
{
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, exec_here, NULL);
        for (;;) pause();
    }
    return child;
}

static pid_t by_two_threads(void)
{
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, exec_here, NULL);
        pthread_create(&thread, NULL, exec_here, NULL);
        exec_here(NULL);
    }
    return child;
}

static pid_t by_descriptor(void)
{
    pid_t child = fork();
    if (child == 0) {
        int file = open(program, O_PATH | O_CLOEXEC);
        syscall(SYS_execveat, file, "", given, environ, AT_EMPTY_PATH);
        _exit(99);
    }
    return child;
}

static pid_t after_failures(void)
{
    pid_t child = fork();
    if (child == 0) {
        execv("/nonexistent", given);
        execv("/etc", given);
        execv("/etc/passwd", given);
        exec_here(NULL);
    }
    return child;
}

static void run(const char *name, pid_t (*way)(void), long tries)
{
    long good = 0, bad = 0;
    for (long i = 0; i < tries; i++) {
        int status;
        pid_t child = way();
        if (child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0) good++; else bad++;
    }
    printf("%s %ld %ld\n", name, good, bad);
}

/* Killed at any moment of its exec: nothing may hang. */
static void killed(long tries)
{
    long ended = 0;
    for (long i = 0; i < tries; i++) {
        pid_t child = by_thread();
        usleep((useconds_t)(i % 20) * 50);
        if (i % 3 == 0) kill(child, SIGSTOP);
        kill(child, SIGKILL);
        int status;
        if (waitpid(child, &status, 0) == child) ended++;
    }
    printf("killed %ld %ld\n", ended, tries - ended);
}

/* Stopped and continued around its exec. */
static void stopped(long tries)
{
    long good = 0;
    for (long i = 0; i < tries; i++) {
        pid_t child = by_fork();
        usleep((useconds_t)(i % 20) * 50);
        kill(child, SIGSTOP);
        int status;
        pid_t found = waitpid(child, &status, WUNTRACED);
        if (found == child && WIFSTOPPED(status)) {
            kill(child, SIGCONT);
            found = waitpid(child, &status, 0);
        }
        if (found == child && WIFEXITED(status) && WEXITSTATUS(status) == 0) good++;
    }
    printf("stopped %ld %ld\n", good, tries - good);
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    long tries = atol(arguments[1]);
    program = arguments[2];
    run("fork", by_fork, tries);
    run("vfork", by_vfork, tries);
    run("spawn", by_spawn, tries);
    run("thread", by_thread, tries);
    run("two-threads", by_two_threads, tries);
    run("descriptor", by_descriptor, tries);
    run("after-failures", after_failures, tries);
    killed(tries);
    stopped(tries);
    return 0;
}
