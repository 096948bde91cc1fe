"""`interlock container-profile`: the seccomp profile with which Interlock starts in a container."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

SUMMARY = "print a seccomp profile with which Interlock starts in a container"
_EPILOG = "For `docker run --security-opt seccomp=FILE` and the like, where CAP_SYS_PTRACE is not to be given."


def configure(parser: argparse.ArgumentParser) -> None:
    """The form."""
    parser.epilog = _EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from interlock.app.container_profile import container_profile

    print(json.dumps(container_profile(), indent=1))
    return 0
