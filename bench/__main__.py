"""`python -m bench [host] [gateway] [score] [eintr] [workspace] [--json]`: prints each figure, native (or direct) beside governed, and the ratio.

`python -m bench trace call`: the files that one tool call passes through. `python -m bench trace open`: those of one open.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import subprocess
from dataclasses import asdict


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="host, gateway (default: both), score, eintr, workspace; trace call, trace open")
    parser.add_argument("--json", action="store_true", help="one object a line")
    arguments = parser.parse_args()
    if arguments.parts[:1] == ["trace"]:
        for part in arguments.parts[1:]:
            importlib.import_module(f"bench.trace_{part}").main()
        return
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    if not arguments.json:
        print(f"commit {commit or 'unknown'}, kernel {platform.release()}, Python {platform.python_version()}")
        print(f"{'':38}{'native':>11}{'hop':>16}{'governed':>16}{'':5}{'ratio':>9}{'to hop':>9}")
    for part in arguments.parts or ["host", "gateway"]:
        for row in importlib.import_module(f"bench.{part}").rows():
            if arguments.json:
                print(json.dumps({"part": part, **asdict(row), "ratio": round(row.ratio, 3) if row.native else None}), flush=True)
            else:
                print(row.words, flush=True)


if __name__ == "__main__":
    main()
