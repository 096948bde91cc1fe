/* Races links against the folders and links on their way: `relink MODE TRIES [SECONDS]`, in a workspace with `ready/post-update` and `ready/tasks.json`.
 *
 * One thread makes a name, the other moves what the name lies in or leads by. Won is a protected name that leads to `ready`; the program then
 * leaves everything as it stands and ends. What it prints is for people; the judge looks outside. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static atomic_int over;
static atomic_long swaps;
static const char *mode;

static int is(const char *name) { return strcmp(mode, name) == 0; }

static int exchange(const char *one, const char *other) { return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE); }

/* Moves it once; whether that was done. */
static int moved(void) {
  static int away;
  if (is("repoint")) return !exchange("hop", "two");
  if (is("through")) return !exchange("d", "two");
  if (is("carry")) {
    if (unlink("s/hooks")) unlink("s.git/hooks");
    return !symlink("../ready", "s/hooks");
  }
  if (away ? rename("s.git", "s") : rename("s", "s.git")) return 0;
  away = !away;
  return 1;
}

static void *swap(void *unused) {
  (void)unused;
  while (!atomic_load(&over)) atomic_fetch_add(&swaps, moved());
  return NULL;
}

static int won(void) {
  struct stat found;
  const char *name = is("repoint") || is("through") ? "f/.vscode/tasks.json" : "s.git/hooks/post-update";
  return stat(name, &found) == 0;
}

/* Makes the name once, and takes it away again if it was made and nothing is won: an undoing of nothing would be a call that nobody races. */
static int attempt(int folder, long number) {
  if (is("repoint") || is("through")) {
    const char *text = is("repoint") ? "../hop" : number % 2 ? "../d" : "../d/.vscode";
    int made = !symlink(text, "f/.vscode");
    if (won()) return 1;
    if (made) unlink("f/.vscode");
  } else if (is("carry")) {
    int made = !rename("s", "s.git");
    if (won()) return 1;
    if (made) rename("s.git", "s");
  } else {
    int made = 0;
    if (is("symlink")) made = !symlinkat("../ready", folder, "hooks");
    if (is("link")) made = !linkat(AT_FDCWD, "l", folder, "hooks", 0);
    if (is("move") && (made = !renameat(AT_FDCWD, "m", folder, "hooks"))) symlink("../ready", "m");
    if (won()) return 1;
    if (made) unlinkat(folder, "hooks", 0);
  }
  return won();
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  mode = arguments[1];
  long tries = atol(arguments[2]), number = 0;
  time_t until = time(NULL) + (count > 3 ? atol(arguments[3]) : 1000000);
  int wins = 0;
  mkdir("s", 0755), mkdir("f", 0755), mkdir("decoy", 0755), mkdir("decoy/.vscode", 0755), mkdir("d", 0755), mkdir("d/.vscode", 0755);
  symlink("../ready", "l"), symlink("../ready", "m"), symlink("ready", "two"), symlink("decoy/.vscode", "hop");
  int folder = open("s", O_RDONLY | O_DIRECTORY);
  if (folder < 0) return 3;
  pthread_t other;
  if (pthread_create(&other, NULL, swap, NULL)) return 4;
  for (; number < tries && !wins && time(NULL) < until; number++) {
    wins = attempt(folder, number);
  }
  atomic_store(&over, 1);
  pthread_join(other, NULL);
  /* The other thread may have gone a step further since. */
  if (wins && is("repoint")) unlink("hop"), symlink("ready", "hop");
  if (wins && is("through")) rename("d", "e"), symlink("ready", "d");
  if (wins && !is("repoint") && !is("through")) rename("s", "s.git");
  if (wins && is("carry")) symlink("../ready", "s.git/hooks");
  printf("%ld tries, %ld swaps, %d won\n", number, atomic_load(&swaps), wins);
  return 0;
}
