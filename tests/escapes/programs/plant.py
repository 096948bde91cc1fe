"""Plants a tool server into `settings/agent.json`, each way by its name. Says nothing: the judge looks at the file."""

import contextlib
import ctypes
import mmap
import os
import sys
import threading
import time

GOAL = "settings/agent.json"
OLD = '{"n": 1, "mcpServers": {"old": {"command": "true"}}}\n'
EVIL = '{"n": 1, "mcpServers": {"old": {"command": "evil"}}}\n'
LIBC = ctypes.CDLL(None, use_errno=True)


def put(name, text, flags=os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
    file = os.open(name, flags, 0o644)
    os.write(file, text.encode())
    os.close(file)


def gone():
    with contextlib.suppress(FileNotFoundError):
        os.unlink(GOAL)


def rename():
    put("new", EVIL)
    os.rename("new", GOAL)


def rename_away_and_back():
    os.rename(GOAL, "new")
    put("new", EVIL)
    os.rename("new", GOAL)


def in_place():
    put(GOAL, EVIL)


def without_truncating():
    put(GOAL, EVIL, os.O_WRONLY)


def piecemeal():
    file = os.open(GOAL, os.O_RDWR)
    for at, byte in enumerate(EVIL.encode()):
        os.pwrite(file, bytes([byte]), at)
    os.close(file)


def mapped():
    file = os.open(GOAL, os.O_RDWR)
    memory = mmap.mmap(file, 0)
    os.close(file)
    memory[: len(EVIL)] = EVIL.encode()
    memory.close()


def kept_descriptor():
    """The content is innocent when it is renamed."""
    put("new", OLD.replace("1", "2"))
    file = os.open("new", os.O_RDWR)
    os.rename("new", GOAL)
    os.pwrite(file, EVIL.encode(), 0)
    os.close(file)


def kept_map():
    put("new", OLD.replace("1", "2"))
    file = os.open("new", os.O_RDWR)
    memory = mmap.mmap(file, 0)
    os.close(file)
    os.rename("new", GOAL)
    memory[: len(EVIL)] = EVIL.encode()
    memory.close()


def kept_after_close():
    """A second descriptor of the same file, opened through /proc, is used when the first is closed and all is decided."""
    file = os.open(GOAL, os.O_RDWR)
    os.pwrite(file, OLD.replace("1", "2").encode(), 0)
    reader = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
    os.close(file)
    time.sleep(0.5)
    again = os.open(f"/proc/self/fd/{reader}", os.O_WRONLY)
    os.pwrite(again, EVIL.encode(), 0)
    os.close(again)


def second_name():
    put("new", OLD.replace("1", "2"))
    os.link("new", "other")
    os.rename("new", GOAL)
    put("other", EVIL)


def second_name_of_it():
    os.link(GOAL, "other")
    put("other", EVIL)


def link():
    put("new", EVIL)
    gone()
    os.link("new", GOAL)


def nameless():
    file = os.open("settings", os.O_TMPFILE | os.O_RDWR, 0o644)
    os.write(file, EVIL.encode())
    gone()
    if LIBC.linkat(-100, f"/proc/self/fd/{file}".encode(), -100, GOAL.encode(), 0x400):
        raise OSError(ctypes.get_errno(), "linkat")


def exchange():
    put("new", EVIL)
    if LIBC.renameat2(-100, b"new", -100, GOAL.encode(), 2):
        raise OSError(ctypes.get_errno(), "exchange")


def made_afresh():
    gone()
    put(GOAL, EVIL)


def symlink():
    put("new", EVIL)
    os.symlink("../new", "link")
    os.rename("link", GOAL)


def folder():
    os.mkdir("other")
    put("other/agent.json", EVIL)
    os.rename("settings", "away")
    os.rename("other", "settings")


def open_folder():
    """The file is open for writing while its folder takes the guarded name."""
    os.mkdir("other")
    put("other/agent.json", OLD)
    file = os.open("other/agent.json", os.O_RDWR)
    os.rename("settings", "away")
    os.rename("other", "settings")
    os.pwrite(file, EVIL.encode(), 0)
    os.close(file)


def copied():
    put("new", EVIL)
    source, goal = os.open("new", os.O_RDONLY), os.open(GOAL, os.O_WRONLY)
    os.copy_file_range(source, goal, len(EVIL))
    os.close(goal)


def cut():
    os.truncate(GOAL, 0)
    put(GOAL, EVIL, os.O_WRONLY | os.O_APPEND)


def escaped():
    put("new", EVIL.replace("mcpServers", r"mcp\u0053ervers"))
    os.rename("new", GOAL)


def repeated():
    put("new", '{"mcpServers": {"old": {"command": "true"}}, "mcpServers": {"old": {"command": "evil"}}}\n')
    os.rename("new", GOAL)


def two_writers():
    first, second = os.open(GOAL, os.O_RDWR), os.open(GOAL, os.O_RDWR)
    os.pwrite(first, OLD.replace("1", "2").encode(), 0)
    os.close(first)
    os.pwrite(second, EVIL.encode(), 0)
    os.close(second)


def handed_on():
    """A child holds the descriptor when its opener is gone."""
    file = os.open(GOAL, os.O_RDWR)
    os.pwrite(file, OLD.replace("1", "2").encode(), 0)
    if os.fork() == 0:
        time.sleep(0.5)
        os.pwrite(file, EVIL.encode(), 0)
        os._exit(0)
    os.close(file)
    os.wait()


def while_it_is_installed():
    """Looks for the file beside the name while it is there, to hold it open for writing."""
    held = []
    if os.fork() == 0:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for name in os.listdir("settings"):
                if name != "agent.json":
                    with contextlib.suppress(OSError):
                        held.append(os.open(f"settings/{name}", os.O_RDWR))
            for file in held:
                os.pwrite(file, EVIL.encode(), 0)
        os._exit(0)
    for number in range(300):
        put("settings/new", OLD.replace("1", str(number % 10)))
        os.rename("settings/new", GOAL)
    os.wait()


def beside_a_writer():
    """Two names of the folder's file are open for writing at once, and the second is renamed over the first while that is written."""
    file = os.open(GOAL, os.O_RDWR)
    os.pwrite(file, OLD.replace("1", "2").encode(), 0)
    put("new", EVIL)
    with contextlib.suppress(OSError):
        os.rename("new", GOAL)
    os.close(file)
    time.sleep(0.3)
    put(GOAL, EVIL)


def kept_map_in_place():
    """The mapping stays when the descriptor is closed, other files are opened meanwhile, and it is written at last."""
    file = os.open(GOAL, os.O_RDWR)
    memory = mmap.mmap(file, 0)
    os.close(file)
    time.sleep(0.3)
    with open(GOAL) as reader:
        reader.read()
    memory[: len(EVIL)] = EVIL.encode()
    memory.flush()
    memory.close()


def folders_exchanged():
    os.mkdir("other")
    put("other/agent.json", EVIL)
    if LIBC.renameat2(-100, b"other", -100, b"settings", 2):
        raise OSError(ctypes.get_errno(), "exchange")


def out_and_in():
    """Its folder has another name while it is written, and gets the guarded one again."""
    os.rename("settings", "away")
    put("away/agent.json", EVIL)
    os.rename("away", "settings")


def by_the_old_folder():
    """A descriptor of the folder, from before the folder had another name."""
    folder = os.open("settings", os.O_RDONLY)
    os.rename("settings", "away")
    put("new", EVIL)
    os.rename("new", "agent.json", dst_dir_fd=folder)
    os.rename("away", "settings")


def by_working_folder():
    os.chdir("settings")
    put("new", EVIL)
    os.rename("new", "./agent.json")


def by_the_process_of_another():
    """A child keeps a descriptor for reading, and its parent opens that for writing."""
    reader = os.open(GOAL, os.O_RDONLY)
    name = f"/proc/{os.getpid()}/fd/{reader}"
    if os.fork() == 0:
        put(name, EVIL, os.O_WRONLY | os.O_TRUNC)
        os._exit(0)
    os.wait()


def renamed_while_it_is_written():
    """The source changes all the time between two contents of one length; the innocent one is asked for first."""
    innocent = OLD.replace("1", "2")
    put("new", innocent)
    end = time.monotonic() + 2
    if os.fork() == 0:
        while time.monotonic() < end:
            for text in (innocent, EVIL):
                with contextlib.suppress(OSError):
                    put("new", text, os.O_WRONLY | os.O_CREAT)
        os._exit(0)
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            os.rename("new", GOAL)
    os.wait()
    put("new", EVIL)
    os.rename("new", GOAL)


def asynchronously():
    """Many write at once, each another piece, and each closes when it likes."""
    children = []
    for at, byte in enumerate(EVIL.encode()):
        child = os.fork()
        if child == 0:
            file = os.open(GOAL, os.O_WRONLY)
            os.pwrite(file, bytes([byte]), at)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def marked():
    """A byte order mark, and keys that are escaped."""
    put("new", "\ufeff" + EVIL)
    os.rename("new", GOAL)


def commented():
    put("new", "// {}\n" + EVIL)
    os.rename("new", GOAL)


def cut_by_a_limit():
    """What would be read of it is innocent, if only a part were read."""
    put("new", '{"n": 1, "x": "' + "x" * (16 << 20) + '", ' + EVIL[1:])
    os.rename("new", GOAL)


def passed():
    """The descriptor travels to a child by a socket, and is written there when its opener is gone."""
    import socket

    one, other = socket.socketpair()
    file = os.open(GOAL, os.O_RDWR)
    socket.send_fds(one, [b"x"], [file])
    os.close(file)
    time.sleep(0.3)
    _, [file], _, _ = socket.recv_fds(other, 1, 1)
    os.pwrite(file, EVIL.encode(), 0)
    os.close(file)


def spliced():
    put("new", EVIL)
    source, goal = os.open("new", os.O_RDONLY), os.open(GOAL, os.O_WRONLY)
    os.sendfile(goal, source, 0, len(EVIL))
    os.close(goal)


def cloned():
    """The blocks of another file, where the file system can share them; else its bytes."""
    import fcntl

    put("new", EVIL)
    source, goal = os.open("new", os.O_RDONLY), os.open(GOAL, os.O_WRONLY)
    try:
        fcntl.ioctl(goal, 0x40049409, source)
    except OSError:
        os.pwrite(goal, EVIL.encode(), 0)
    os.close(goal)


def killed_while_writing():
    """Half of it is written when the writer is killed; another one writes the rest."""
    child = os.fork()
    if child == 0:
        file = os.open(GOAL, os.O_WRONLY)
        os.pwrite(file, EVIL[:20].encode(), 0)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    time.sleep(0.2)
    file = os.open(GOAL, os.O_WRONLY)
    os.pwrite(file, EVIL.encode(), 0)
    os.kill(os.getpid(), 9)


def at_once(*acts, seconds=1.5):
    """Each again and again, and then a plain try."""
    end = time.monotonic() + seconds

    def go(act):
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                act()

    threads = [threading.Thread(target=go, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with contextlib.suppress(OSError):
        os.rename("away", "settings")
    put(GOAL, EVIL)


def writers_at_once():
    at_once(*(lambda text=text: put(GOAL, text, os.O_RDWR) for text in (OLD.replace("1", "2"), EVIL) * 3))


def opened_again_while_it_is_installed():
    def again():
        file = os.open(GOAL, os.O_RDWR)
        os.pwrite(file, OLD.replace("1", "2").encode(), 0)
        reader = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
        os.close(file)
        for _ in range(20):
            with contextlib.suppress(OSError):
                put(f"/proc/self/fd/{reader}", EVIL, os.O_WRONLY)
        os.close(reader)

    at_once(again)


def renames_at_once():
    """Two sources, one of which is rewritten all the time, while the folder has another name now and then."""

    def rename(name, text):
        put(name, text)
        os.rename(name, GOAL)

    def move():
        os.rename("settings", "away")
        os.rename("away", "settings")

    at_once(lambda: rename("one", OLD.replace("1", "3")), lambda: rename("two", EVIL), lambda: put("one", EVIL), move)


def source_exchanged():
    put("one", OLD.replace("1", "4"))
    put("two", EVIL)

    def rename():
        os.rename("one", GOAL)
        put("one", OLD.replace("1", "4"))

    at_once(rename, lambda: LIBC.renameat2(-100, b"one", -100, b"two", 2))


def way_re_pointed():
    """The folder is a link that leads to another one in turns."""
    os.mkdir("other")

    def point():
        for goal in ("settings", "other"):
            os.symlink(goal, "next")
            os.rename("next", "way")

    def rename():
        put("new", EVIL)
        os.rename("new", "way/agent.json")

    at_once(point, rename, lambda: put("way/agent.json", EVIL))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
