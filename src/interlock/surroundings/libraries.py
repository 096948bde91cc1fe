"""Libraries that the Python which runs Interlock, and its supervisor, load from the system: those that are loaded now,
and those that a later import would load.

Of the latter the names are known: the NEEDED entries of CPython's extension modules and of the supervisor, and the name
services of nsswitch.conf(5). They are looked for where ld.so(8) looks. Names in /usr/local of those that every start
loads are taken along though they are not there, since the next ldconfig(8) would prefer them. What the C library reads
besides has fixed names and is a set of the policy language (`@loader`).
"""

from __future__ import annotations

import contextlib
import os
import pwd
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES: Final = [
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "libcrypt.so.1",
    "libcrypt.so.2",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libz.so.1",
    "libbz2.so.1",
    "libbz2.so.1.0",
    "liblzma.so.5",
    "libzstd.so.1",
    "libexpat.so.1",
    "libffi.so.6",
    "libffi.so.7",
    "libffi.so.8",
    "libmpdec.so.3",
    "libmpdec.so.4",
    "libuuid.so.1",
    "libssl.so.3",
    "libcrypto.so.3",
    "libssl.so.1.1",
    "libcrypto.so.1.1",
    "libsqlite3.so.0",
    "libreadline.so.8",
    "libtinfo.so.6",
    "libncursesw.so.6",
    "libpanelw.so.6",
    "libgdbm.so.6",
    "libgdbm_compat.so.4",
    "libcap.so.2",
    "libnss_files.so.2",
    "libnss_dns.so.2",
    "libnss_compat.so.2",
    "libnss_systemd.so.2",
    "libnss_resolve.so.2",
    "libnss_myhostname.so.2",
    "libnss_mymachines.so.2",
    "libnss_sss.so.2",
    "libnss_mdns4_minimal.so.2",
]
_FOLDERS: Final = ("/lib/x86_64-linux-gnu", "/lib64", "/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib")
_PREFERRED: Final = ("/usr/local/lib", "/usr/local/lib/x86_64-linux-gnu")
_EVERY_START: Final = [
    "libc.so.6",
    "libm.so.6",
    "libz.so.1",
    "libcrypto.so.3",
    "libgcc_s.so.1",
    "libexpat.so.1",
    "libdl.so.2",
    "libpthread.so.0",
]
#: Of a mapping whose file was replaced meanwhile.
_GONE: Final = " (deleted)"


def libraries() -> list[str]:
    """Absolute paths, by whatever name; the program itself among them."""
    return [*_loaded(), *_loaded_later()]


def _loaded() -> list[str]:
    """What this process has mapped to execute (proc_pid_maps(5)), the name service's own included."""
    with contextlib.suppress(KeyError):
        pwd.getpwuid(os.getuid())
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            fields = [line.rstrip("\n").split(maxsplit=5) for line in maps if " r-xp " in line]
    except OSError:
        return []
    return list({each[5].removesuffix(_GONE) for each in fields if len(each) > 5 and each[5].startswith("/")})


def _loaded_later() -> Iterator[str]:
    for folder in dict.fromkeys(map(os.path.realpath, _FOLDERS)):
        yield from (path for name in _NAMES if os.path.lexists(path := f"{folder}/{name}"))
    for folder in _PREFERRED:
        yield from (f"{folder}/{name}" for name in _EVERY_START)
