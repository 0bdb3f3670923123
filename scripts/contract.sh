#!/usr/bin/env bash
# Records the simulator's traffic in its own tests and checks it against GitHub's published OpenAPI.
# Wants npm (for @octokit/openapi) and python3 with pip (for openapi-core); both go into .tools/contract.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=.tools/contract
for tool in npm python3; do
    command -v "$tool" >/dev/null || { echo "contract: skipped, $tool is not installed"; exit 0; }
done
if [ ! -d "$dir/node_modules/@octokit/openapi" ]; then
    echo "contract: fetching GitHub's description into $dir"
    npm install --silent --no-save --prefix "$dir" @octokit/openapi@23 @octokit/openapi-webhooks@^11
fi
if [ ! -x "$dir/venv/bin/python" ] || ! "$dir/venv/bin/python" -c 'import openapi_core' 2>/dev/null; then
    python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" install --quiet openapi-core==0.23.*
fi

recording=$(mktemp)
trap 'rm -f "$recording"' EXIT
echo "contract: recording the simulator's own tests"
BOOTY_SIM_RECORD="$recording" cargo test --quiet -p booty-sim --test it
"$dir/venv/bin/python" crates/sim/contract/check.py \
    --openapi "$dir/node_modules/@octokit/openapi/generated/api.github.com.json" \
    --webhooks "$dir/node_modules/@octokit/openapi-webhooks/generated/api.github.com.json" \
    "$recording"
