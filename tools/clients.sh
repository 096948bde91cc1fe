#!/usr/bin/env bash
# Brings the clients of tests/workloads/test_clients.py that packages hold into build/clients. What a distribution ships (curl, dig, Java, Chromium) is left to it.
set -euo pipefail
cd "$(dirname "$0")/.."
made=build/clients
mkdir -p "$made"
python=/usr/bin/python3
test -x "$python" || python=python3
test -x "$made/venv/bin/python" || "$python" -m venv "$made/venv"
"$made/venv/bin/python" -m pip install --quiet --disable-pip-version-check requests httpx aiohttp 'psycopg[binary]' uv
npm install --silent --no-audit --no-fund --prefix "$made" pnpm@9 yarn@1 ws
chmod -R a+rX "$made"
