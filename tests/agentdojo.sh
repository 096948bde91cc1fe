#!/usr/bin/env bash
# AgentDojo (PyPI, MIT) in an environment of its own, build/agentdojo, for tests/agentdojo. Nothing of Interlock depends on it.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 -m venv build/agentdojo
build/agentdojo/bin/pip install --quiet --disable-pip-version-check 'agentdojo==0.1.35'
build/agentdojo/bin/pip show agentdojo | sed -n 1,2p
