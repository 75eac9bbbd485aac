#!/usr/bin/env bash
# `make bench`: a system of its own with the rate limits off, the load, and the end of both.
set -euo pipefail
: "${BIN:=.build-release/release}"
state=$(mktemp -d)
stop() { [ -z "${up:-}" ] || { kill -TERM "$up" 2>/dev/null || true; wait "$up" 2>/dev/null || true; }; rm -rf "$state"; }
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$BIN/lockstep" certs --state "$state" > /dev/null
LOCKSTEP_GATEWAY_RATE_LIMITS=off LOCKSTEP_LOG_LEVEL=warning \
  setsid "$BIN/lockstep" up --state "$state" --bin "$BIN" > "$state/up.log" 2>&1 &
up=$!
for _ in $(seq 300); do
  curl --silent --fail --cacert "$state/ca.pem" https://127.0.0.1:8443/readyz > /dev/null && break
  kill -0 "$up" 2>/dev/null || { cat "$state/up.log" >&2; exit 1; }
  sleep 0.1
done
"$BIN/lockstep-load" --url https://127.0.0.1:8443 --ca "$state/ca.pem" --outbox "$state/outbox" "$@"
