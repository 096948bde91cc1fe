/* One system call of the table by its name, with arguments that work where nothing stands in the way. Prints `done VALUE`
 * or `errno NUMBER`; what the call did is judged outside. Usage: table CALL FILE NEW PAYLOAD PID PORT, where FILE is
 * protected and exists, NEW is protected and does not, PAYLOAD is free. Left out: routes of several calls (attack.c). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

static const char *file, *new, *payload;
static int pid, port;
#define S syscall
#define HERE AT_FDCWD

static long put(long f) { return f < 0 || write((int)f, "OWNED", 5) != 5 ? -1 : 0; }
static struct sockaddr_in peer(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return to;
}
/* After a call that gives up root, a file of root's must stay shut: its content is the effect. */
static long then_read(long changed) {
    char text[64];
    if (changed < 0) return -1;
    int f = open(file, O_RDONLY);
    ssize_t n = f < 0 ? -1 : read(f, text, sizeof text);
    return n < 0 ? -1 : fwrite(text, 1, (size_t)n, stderr) == 0;
}
static long drop_override(void) { /* capset: no way past permissions any more */
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (S(SYS_capget, &head, data)) return -1;
    data[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
    return S(SYS_capset, &head, data);
}
static siginfo_t info(void) {
    siginfo_t about = {.si_signo = SIGTERM, .si_code = SI_QUEUE};
    return about;
}
static long exec_(int at) {
    char *arguments[] = {(char *)(uintptr_t)new, NULL}, *environment[] = {NULL};
    return at ? S(SYS_execveat, HERE, new, arguments, environment, 0) : S(SYS_execve, new, arguments, environment);
}

static long run(const char *n) {
    struct open_how how = {.flags = O_WRONLY | O_CREAT, .mode = 0644};
    struct timespec spec[2] = {{1, 0}, {1, 0}};
    struct timeval val[2] = {{1, 0}, {1, 0}};
    struct utimbuf buf = {1, 1};
    struct sockaddr_in to = peer();
    struct sched_param param = {0};
    struct rlimit64 { uint64_t a, b; } limit = {64, 64};
    struct { uint64_t value; uint32_t size, flags; } xattr = {(uintptr_t)"1", 1, 0};
    struct { uint64_t flags; uint32_t e, n, p, c; } attr = {FS_XFLAG_NODUMP, 0, 0, 0, 0};
    struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t prio; uint64_t r[3]; } sched = {48, 0, 0, 7, 0, {0}};
    struct iovec part = {"OWNED", 5};
    struct msghdr message = {&to, sizeof to, &part, 1, NULL, 0, 0};
    struct mmsghdr messages = {message, 0};
    siginfo_t about = info();
    unsigned long mask = 1, nodes = 1;
    char text[128];
    long f;
#define IS(word) if (!strcmp(n, word))
    /* names and opens */
    IS("open") return put(S(SYS_open, new, O_WRONLY | O_CREAT, 0644));
    IS("creat") return put(S(SYS_creat, new, 0644));
    IS("openat") return put(S(SYS_openat, HERE, new, O_WRONLY | O_CREAT, 0644));
    IS("openat2") return put(S(SYS_openat2, HERE, new, &how, sizeof how));
    IS("mkdir") return S(SYS_mkdir, new, 0755);
    IS("mkdirat") return S(SYS_mkdirat, HERE, new, 0755);
    IS("mknod") return S(SYS_mknod, new, S_IFIFO | 0644, 0);
    IS("mknodat") return S(SYS_mknodat, HERE, new, S_IFIFO | 0644, 0);
    IS("rename") return S(SYS_rename, payload, new);
    IS("renameat") return S(SYS_renameat, HERE, payload, HERE, new);
    IS("renameat2") return S(SYS_renameat2, HERE, payload, HERE, file, RENAME_EXCHANGE);
    IS("link") return S(SYS_link, payload, new);
    IS("linkat") return S(SYS_linkat, HERE, payload, HERE, new, 0);
    IS("symlink") return S(SYS_symlink, payload, new);
    IS("symlinkat") return S(SYS_symlinkat, payload, HERE, new);
    IS("unlink") return S(SYS_unlink, file);
    IS("unlinkat") return S(SYS_unlinkat, HERE, file, 0);
    IS("rmdir") return S(SYS_rmdir, file);
    IS("bind") {
        struct sockaddr_un at = {.sun_family = AF_UNIX};
        strcpy(at.sun_path, new);
        return bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&at, sizeof at);
    }
    /* content and metadata */
    IS("truncate") return S(SYS_truncate, file, 0);
    IS("chmod") return S(SYS_chmod, file, 0777);
    IS("fchmod") return S(SYS_fchmod, open(file, O_RDONLY), 0777);
    IS("fchmodat") return S(SYS_fchmodat, HERE, file, 0777);
    IS("fchmodat2") return S(452, HERE, file, 0777, 0);
    IS("chown") return S(SYS_chown, file, 65534, -1);
    IS("lchown") return S(SYS_lchown, file, 65534, -1);
    IS("fchown") return S(SYS_fchown, open(file, O_RDONLY), 65534, -1);
    IS("fchownat") return S(SYS_fchownat, HERE, file, 65534, -1, 0);
    IS("utime") return S(SYS_utime, file, &buf);
    IS("utimes") return S(SYS_utimes, file, val);
    IS("futimesat") return S(SYS_futimesat, HERE, file, val);
    IS("utimensat") return S(SYS_utimensat, HERE, file, spec, 0);
    IS("setxattr") return S(SYS_setxattr, file, "user.owned", "1", 1, 0);
    IS("lsetxattr") return S(SYS_lsetxattr, file, "user.owned", "1", 1, 0);
    IS("fsetxattr") return S(SYS_fsetxattr, open(file, O_RDONLY), "user.owned", "1", 1, 0);
    IS("setxattrat") return S(463, HERE, file, 0, "user.owned", &xattr, sizeof xattr);
    IS("removexattr") return S(SYS_removexattr, file, "user.mark");
    IS("lremovexattr") return S(SYS_lremovexattr, file, "user.mark");
    IS("fremovexattr") return S(SYS_fremovexattr, open(file, O_RDONLY), "user.mark");
    IS("removexattrat") return S(466, HERE, file, 0, "user.mark");
    IS("file_setattr") return S(469, HERE, file, &attr, sizeof attr, 0);
    IS("ftruncate") return S(SYS_ftruncate, open(file, O_WRONLY), 0);
    IS("execve") return exec_(0);
    IS("execveat") return exec_(1);
    IS("umask") {
        S(SYS_umask, 0177); /* and what is made next */
        put(S(SYS_openat, HERE, payload, O_WRONLY | O_CREAT, 0666));
        return S(SYS_umask, 0177);
    }
    /* ids given up, then a file of root's */
    IS("setuid") return then_read(S(SYS_setuid, 65534));
    IS("setreuid") return then_read(S(SYS_setreuid, 65534, 65534));
    IS("setresuid") return then_read(S(SYS_setresuid, 65534, 65534, 65534));
    IS("setfsuid") return then_read(S(SYS_setfsuid, 65534));
    IS("capset") return then_read(drop_override());
    /* groups: the file is of root's group, shut to others */
    IS("setgid") return then_read(drop_override() ? -1 : S(SYS_setgid, 65534));
    IS("setregid") return then_read(drop_override() ? -1 : S(SYS_setregid, 65534, 65534));
    IS("setresgid") return then_read(drop_override() ? -1 : S(SYS_setresgid, 65534, 65534, 65534));
    IS("setfsgid") return then_read(drop_override() ? -1 : S(SYS_setfsgid, 65534));
    IS("setgroups") {
        gid_t group = 4242; /* the file's, held for a moment */
        return then_read(S(SYS_setgroups, 1, &group) || drop_override() ? -1 : S(SYS_setgroups, 0, NULL));
    }
    IS("prctl") return prctl(PR_SET_SECUREBITS, 0x1L /* NOROOT */) ? -1 : then_read(exec_(0));
    /* processes outside */
    IS("kill") return S(SYS_kill, pid, SIGTERM);
    IS("tkill") return S(SYS_tkill, pid, SIGTERM);
    IS("tgkill") return S(SYS_tgkill, pid, pid, SIGTERM);
    IS("rt_sigqueueinfo") return S(SYS_rt_sigqueueinfo, pid, SIGTERM, &about);
    IS("rt_tgsigqueueinfo") return S(SYS_rt_tgsigqueueinfo, pid, pid, SIGTERM, &about);
    IS("pidfd_send_signal") return S(SYS_pidfd_send_signal, S(SYS_pidfd_open, pid, 0), SIGTERM, NULL, 0);
    IS("setpriority") return S(SYS_setpriority, PRIO_PROCESS, pid, 7);
    IS("setpriority of a user") return S(SYS_setpriority, PRIO_USER, 0, 7);
    IS("ioprio_set") return S(SYS_ioprio_set, 1, pid, 2 << 13 | 2);
    IS("ioprio_set of a user") return S(SYS_ioprio_set, 3, getuid(), 2 << 13 | 2); /* 0 is root here, whoever asks */
    IS("sched_setparam") return S(SYS_sched_setparam, pid, &param);
    IS("sched_setscheduler") return S(SYS_sched_setscheduler, pid, SCHED_BATCH, &param);
    IS("sched_setaffinity") return S(SYS_sched_setaffinity, pid, sizeof mask, &mask);
    IS("sched_setattr") return S(SYS_sched_setattr, pid, &sched, 0);
    IS("prlimit64") return S(SYS_prlimit64, pid, RLIMIT_NOFILE, &limit, NULL);
    IS("migrate_pages") return S(SYS_migrate_pages, pid, 8 * sizeof nodes, &nodes, &nodes);
    IS("move_pages") return S(SYS_move_pages, pid, 0, NULL, NULL, NULL, 0);
    IS("ptrace") return S(SYS_ptrace, PTRACE_SEIZE, pid, 0, 0);
    IS("process_vm_writev") return S(SYS_process_vm_writev, pid, &part, 0, &part, 0, 0);
    IS("pidfd_getfd") return S(SYS_pidfd_getfd, S(SYS_pidfd_open, pid, 0), 1, 0);
    /* servers outside */
    IS("connect") return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof to);
    f = socket(AF_INET, SOCK_DGRAM, 0);
    IS("sendto") return S(SYS_sendto, f, "OWNED", 5, 0, &to, sizeof to);
    IS("sendmsg") return S(SYS_sendmsg, f, &message, 0);
    IS("sendmmsg") return S(SYS_sendmmsg, f, &messages, 1, 0);
    IS("listen") { /* a server for everyone */
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int s = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(s, (struct sockaddr *)&any, sizeof any)) return -1;
        return listen(s, 1);
    }
    /* registers */
    IS("socket") return S(SYS_socket, AF_PACKET, SOCK_RAW, 0);
    IS("clone") { long c = S(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0); if (!c) _exit(0); return c; }
    IS("unshare") return S(SYS_unshare, CLONE_NEWUTS);
    IS("setsockopt") return S(SYS_setsockopt, f, IPPROTO_IP, 4 /* IP_OPTIONS */, "\1\1\1\1", 4);
    IS("fcntl") return fcntl(open(payload, O_RDONLY), F_SETLEASE, F_RDLCK); /* others wait for it */
    IS("ioctl") { long v = FS_NODUMP_FL; return ioctl(open(file, O_RDONLY), FS_IOC_SETFLAGS, &v); }
    IS("ioctl project") {
        struct fsxattr x = {.fsx_xflags = FS_XFLAG_NODUMP};
        return ioctl(open(file, O_RDONLY), FS_IOC_FSSETXATTR, &x);
    }
    /* refused, with arguments that work */
    IS("syslog") return S(SYS_syslog, 10, NULL, 0);
    IS("ustat") { struct stat st; stat("/", &st); return S(SYS_ustat, (unsigned)st.st_dev, text); }
    IS("sysfs") return S(SYS_sysfs, 3, 0, 0);
    IS("chroot") return S(SYS_chroot, "/tmp");
    IS("acct") return S(SYS_acct, NULL);
    IS("settimeofday") { struct timeval now; gettimeofday(&now, NULL); return S(SYS_settimeofday, &now, NULL); }
    IS("clock_settime") { struct timespec now; clock_gettime(CLOCK_REALTIME, &now); return S(SYS_clock_settime, CLOCK_REALTIME, &now); }
    IS("mount") return S(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL);
    IS("umount2") return S(SYS_umount2, "/proc", 2 /* detach */);
    IS("pivot_root") return S(SYS_mount, "/mnt", "/mnt", NULL, 4096, NULL) ? -1 : S(SYS_pivot_root, "/mnt", "/mnt");
    IS("sethostname") return S(SYS_sethostname, "owned", 5);
    IS("setdomainname") return S(SYS_setdomainname, "owned", 5);
    IS("iopl") return S(SYS_iopl, 0);
    IS("ioperm") return S(SYS_ioperm, 0x80, 1, 1);
    IS("add_key") return S(SYS_add_key, "user", "owned", "x", 1, -2);
    IS("request_key") return S(SYS_add_key, "user", "owned", "x", 1, -2) < 0 ? -1 : S(SYS_request_key, "user", "owned", NULL, 0);
    IS("keyctl") return S(SYS_keyctl, 0, -2, 1);
    IS("perf_event_open") {
        struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof a, .config = PERF_COUNT_SW_CPU_CLOCK, .exclude_kernel = 1};
        return S(SYS_perf_event_open, &a, 0, -1, -1, 0);
    }
    IS("fanotify_init") return S(SYS_fanotify_init, 0, O_RDONLY);
    IS("fanotify_mark") return S(SYS_fanotify_mark, S(SYS_fanotify_init, 0, O_RDONLY), 1, 2, HERE, "/tmp");
    IS("open_by_handle_at") {
        struct { struct file_handle head; unsigned char bytes[128]; } handle = {.head = {.handle_bytes = 128}};
        int id, mount = open("/", O_RDONLY | O_DIRECTORY);
        if (name_to_handle_at(HERE, payload, &handle.head, &id, 0)) return -1;
        return S(SYS_open_by_handle_at, mount, &handle, O_RDONLY);
    }
    IS("setns") return S(SYS_setns, open("/proc/self/ns/uts", O_RDONLY), 0);
    IS("bpf") { uint32_t a[16] = {2 /* array */, 4, 4, 1}; return S(SYS_bpf, 0, a, sizeof a); }
    IS("userfaultfd") return S(SYS_userfaultfd, O_CLOEXEC | 1);
    IS("io_uring_setup") { struct io_uring_params p = {0}; return S(SYS_io_uring_setup, 4, &p); }
    IS("open_tree") return S(SYS_open_tree, HERE, "/tmp", 1);
    IS("move_mount") return S(SYS_move_mount, S(SYS_open_tree, HERE, "/tmp", 1), "", HERE, "/mnt", 4);
    IS("fsopen") return S(SYS_fsopen, "tmpfs", 0);
    IS("fsconfig") return S(SYS_fsconfig, S(SYS_fsopen, "tmpfs", 0), 6, NULL, NULL, 0);
    IS("fsmount") { f = S(SYS_fsopen, "tmpfs", 0); S(SYS_fsconfig, f, 6, NULL, NULL, 0); return S(SYS_fsmount, f, 0, 0); }
    IS("fspick") return S(SYS_fspick, HERE, "/proc", 0);
    IS("mount_setattr") { uint64_t a[4] = {1 /* read-only */, 0, 0, 0}; return S(442, HERE, "/proc", 0, a, sizeof a); }
    IS("open_tree_attr") { uint64_t a[4] = {0}; return S(467, HERE, "/tmp", 1, a, sizeof a); }
    IS("clone3") { uint64_t a[8] = {0, 0, 0, 0, SIGCHLD}; long c = S(435, a, sizeof a); if (!c) _exit(0); return c; }
    IS("landlock_create_ruleset") return S(444, NULL, 0, 1);
    IS("landlock_add_rule") {
        uint64_t a[2] = {1, 0};
        struct { uint64_t access; int32_t parent; } __attribute__((packed)) rule = {1, open("/tmp", O_PATH)};
        return S(445, S(444, a, 8, 0), 1, &rule, 0);
    }
    IS("landlock_restrict_self") { uint64_t a[2] = {1, 0}; prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); return S(446, S(444, a, 8, 0), 0); }
    errno = ENOSYS;
    fprintf(stderr, "no such case\n");
    exit(99);
}

int main(int count, char **a) {
    if (count != 7) return 98;
    file = a[2], new = a[3], payload = a[4], pid = atoi(a[5]), port = atoi(a[6]);
    long result = run(a[1]);
    if (result < 0) printf("errno %d\n", errno);
    else printf("done %ld\n", result);
    return 0;
}
