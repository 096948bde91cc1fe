#!/usr/bin/env bash
# Builds the OPA server that tests/gateway/test_rego.py asks, into build/opa/opa. Needs Go; the module proxy gives the source, and Go checks it
# against the checksum database. Nothing of Interlock depends on it: it is what is tested against.
set -euo pipefail
cd "$(dirname "$0")/.."
version=v1.22.3
mkdir -p build/opa
GOBIN="$PWD/build/opa" CGO_ENABLED=0 go install "github.com/open-policy-agent/opa@$version"
build/opa/opa version
