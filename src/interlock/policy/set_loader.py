"""What the C library reads before and beside the Python that runs Interlock, by fixed names.

Whoever changes one of these changes what the next Interlock runs before its first line. The libraries themselves are
found on the machine (`surroundings.libraries`). Sources: ld.so(8), ldconfig(8), nsswitch.conf(5), OpenSSL's config(5).
"""

from __future__ import annotations

from typing import Final

LOADER_SETS: Final[dict[str, tuple[str, ...]]] = {
    "loader": (
        "/etc/{ld.so.preload,ld.so.cache,ld.so.conf,ld.so.conf.d/**,nsswitch.conf}",
        "/{lib,lib32,lib64,usr/lib,usr/lib64}",
        "/usr/{lib/x86_64-linux-gnu,lib64,lib,local/lib}/{gconv,engines-3,ossl-modules,glibc-hwcaps}/**",
        "/lib{/x86_64-linux-gnu,64}/{gconv,engines-3,ossl-modules,glibc-hwcaps}/**",
        "/usr/lib/locale/**",
        "/usr/share/locale/locale.alias",
        "/{etc/ssl,etc/pki/tls,usr/lib/ssl}/openssl.cnf",
    )
}
