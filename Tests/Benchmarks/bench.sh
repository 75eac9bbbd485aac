#!/usr/bin/env bash
# `make bench`: a system of its own with the rate limits off, the load, and the end of both.
set -euo pipefail
: "${BIN:=.build-release/release}"
if (exec 3<> /dev/tcp/127.0.0.1/8443) 2>/dev/null; then
  echo "bench: something listens at 127.0.0.1:8443 already: stop it first, it would be measured as well." >&2
  exit 1
fi
# Before anything is built: only whether it could begin.
[ "${1:-}" != --check ] || exit 0
state=$(mktemp -d)
stop() { [ -z "${up:-}" ] || { kill -TERM "$up" 2>/dev/null || true; wait "$up" 2>/dev/null || true; }; rm -rf "$state"; }
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$BIN/lockstep" certs --state "$state" > /dev/null
LOCKSTEP_GATEWAY_RATE_LIMITS=off LOCKSTEP_LOG_LEVEL=warning \
  setsid "$BIN/lockstep" up --state "$state" --bin "$BIN" > "$state/up.log" 2>&1 &
up=$!
ready=
for _ in $(seq 300); do
  curl --silent --fail --cacert "$state/ca.pem" https://127.0.0.1:8443/readyz > /dev/null && ready=yes && break
  kill -0 "$up" 2>/dev/null || { cat "$state/up.log" >&2; exit 1; }
  sleep 0.1
done
[ -n "$ready" ] || { cat "$state/up.log" >&2; echo "bench: the services were not ready within 30 s." >&2; exit 1; }
"$BIN/lockstep-load" --url https://127.0.0.1:8443 --ca "$state/ca.pem" --outbox "$state/outbox" "$@"
