/* Two threads: one opens a path over and over, the other swaps it between a public file and the key. Prints what it won. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char path[4096];
static char **names;
static atomic_int stop;
static void *swap(void *unused) {
    while (!atomic_load(&stop)) { strcpy(path, names[2]); strcpy(path, names[1]); }
    return unused;
}
int main(int count, char **arguments) {
    pthread_t swapper;
    long wins = 0, tries = count > 3 ? atol(arguments[3]) : 20000;
    names = arguments;
    strcpy(path, names[1]);
    pthread_create(&swapper, 0, swap, 0);
    for (long i = 0; i < tries; i++) {
        char text[7] = {0};
        int file = open(path, O_RDONLY);
        if (file < 0) continue;
        if (read(file, text, 6) == 6 && !strcmp(text, "SECRET")) wins++;
        close(file);
    }
    atomic_store(&stop, 1);
    pthread_join(swapper, 0);
    printf("%ld tries, %ld wins\n", tries, wins);
    return 0;
}
