#!/usr/bin/env bash
# `make run`: certificates, provider, five services, the walk, then wait until Ctrl-C. Everything started here ends here.
# `run.sh --check` only says whether this state is free, with 1 when it is not.
set -euo pipefail
: "${STATE:=.lockstep}" "${BIN:=.build-release/release}" "${PYTHON:=python3}"
here=$(cd "$(dirname "$0")" && pwd)
# What `make demo` needs to find this system.
again=""; [ "$STATE" = .lockstep ] || again=" STATE=$STATE"
taken() {
  echo "run: Lockstep is running already with this state ($STATE): use it (\`make demo$again\`), or stop it with Ctrl-C where it runs." >&2
  exit 1
}
# Before anything is built or touched. A system that `lockstep up` started holds the second one.
for lock in run.lock up.lock; do
  [ ! -e "$STATE/$lock" ] || flock --nonblock --shared "$STATE/$lock" true || taken
done
[ "${1:-}" != --check ] || exit 0
mkdir -p "$STATE"
# Held by all that is started here.
exec 9> "$STATE/run.lock"
flock --nonblock 9 || taken

"$BIN/lockstep" certs --state "$STATE"

rm -f "$STATE/providers.json"
# The provider's line holds its client secret.
(umask 077; : > "$STATE/provider.log")
"$PYTHON" "$here/../Support/oauth-provider/provider.py" start --port 0 --dir "$STATE/provider" \
  --providers "$STATE/providers.json" > "$STATE/provider.log" 2>&1 &
provider=$!
stop() {
  [ -z "${walk:-}" ] || kill "$walk" 2>/dev/null || true
  if [ -n "${up:-}" ]; then kill -TERM "$up" 2>/dev/null || true; wait "$up" 2>/dev/null || true; fi
  kill "$provider" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
ready=
for _ in $(seq 300); do
  [ -s "$STATE/providers.json" ] && grep -q authorization_endpoint "$STATE/provider.log" && ready=yes && break
  kill -0 "$provider" 2>/dev/null || { echo "run: the OAuth provider ended; see $STATE/provider.log" >&2; exit 1; }
  sleep 0.1
done
[ -n "$ready" ] || { echo "run: the OAuth provider was not ready within 30 s; see $STATE/provider.log" >&2; exit 1; }

# In a session of its own: Ctrl-C reaches this script, which then asks once, and all finish what they have begun.
setsid "$BIN/lockstep" up --state "$STATE" --bin "$BIN" &
up=$!
"$PYTHON" "$here/walk.py" --starting --state "$STATE" &
walk=$!
# A system that cannot start has said why; nobody is to wait for it.
wait -n -p first "$up" "$walk" && status=0 || status=$?
if [ "$first" = "$up" ]; then
  up=
  exit $((status ? status : 1))
fi
walk=
[ "$status" = 0 ] || exit "$status"

# An address of its own each time, so that the lines work on a state that was used before.
somebody="me-$(date +%s)@example.com"
cat <<END
Lockstep is running at https://127.0.0.1:8443. Try it (another shell, this folder):

  curl --cacert $STATE/ca.pem https://127.0.0.1:8443/v1/users --json '{"email":"$somebody","password":"a long enough passphrase"}'
  until mail=\$(grep -ls "$somebody" $STATE/outbox/*.eml); do sleep 0.2; done
  curl --cacert $STATE/ca.pem https://127.0.0.1:8443/v1/email-verifications --json "{\"token\":\"\$(grep -h ^Token: \$mail | cut -c8- | tr -d '\r')\"}"
  curl --cacert $STATE/ca.pem https://127.0.0.1:8443/v1/sessions --json '{"email":"$somebody","password":"a long enough passphrase"}'

Mail is in $STATE/outbox/*.eml. \`make demo$again\` walks again. Ctrl-C stops everything.
END
wait "$up"
