/* Writes a program and runs it at once, and opens a FIFO for writing after its reader is gone: what is closed must be closed. Prints what was not. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **given) {
    int busy = 0, reader = 0, locked = 0, tries = count > 1 ? atoi(given[1]) : 1000;
    mkfifo("fifo", 0600);
    for (int i = 0; i < tries; i++) {
        int file = open("program", O_WRONLY | O_CREAT | O_TRUNC, 0755);
        if (file < 0 || write(file, "#!/bin/true\n", 12) != 12) return 2;
        close(file);
        pid_t child = vfork();
        if (child == 0) { execl("./program", "program", (char *)NULL); _exit(errno == ETXTBSY ? 26 : 99); }
        int status;
        waitpid(child, &status, 0);
        busy += WEXITSTATUS(status) == 26;
        unlink("program");
        for (int j = 0; j < 10; j++) {
            close(open("fifo", O_RDONLY | O_NONBLOCK));
            int end = open("fifo", O_WRONLY | O_NONBLOCK);
            if (end >= 0) { reader++; close(end); }
            int one = open("lock", O_RDWR | O_CREAT, 0644);
            flock(one, LOCK_EX | LOCK_NB);
            close(one);
            int two = open("lock", O_RDWR);
            if (flock(two, LOCK_EX | LOCK_NB)) locked++;
            close(two);
        }
    }
    printf("busy %d reader %d locked %d of %d\n", busy, reader, locked, tries);
    return 0;
}
