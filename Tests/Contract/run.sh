#!/usr/bin/env bash
# `make contract`: the cases against our own client and server, against mutants of them, against the peer in Python, and
# against the five services, on free ports, in a state directory of their own. Everything started here ends here.
set -uo pipefail
: "${BIN:=.build/debug}" "${PYTHON:=python3}" "${CASES:=*}"
here=$(cd "$(dirname "$0")" && pwd)
failed=()

part() {
  local name=$1
  shift
  echo "== $name"
  local status=0
  "$BIN/lockstep" contract "$@" --cases "$here/Cases" || status=$?
  # 64: services have no case of that name.
  [ $status = 0 ] || { [ $status = 64 ] && [ "$name" = services ] && [ "$CASES" != '*' ]; } || failed+=("$name")
  echo
}

cases() {
  local file=$1
  shift
  set -- run "$@" --run "$CASES" --junit "$BIN/../contract-$file.xml" --json "$BIN/../contract-$file.json"
  part "$file" "$@"
}

# What these two are spared is written down: another case that does not run is a failure.
cases lockstep --coverage "$here/Cases/lockstep.coverage" --server "$BIN/lockstep-peer" --client "$BIN/lockstep-peer"
part mutants mutants --peer "$BIN/lockstep-peer"
cases python --coverage "$here/Cases/python.coverage" --server "$PYTHON $here/peers/python/peer.py" --client "$PYTHON $here/peers/python/peer.py"

state=$(mktemp -d)
stop() {
  if [ -n "${up:-}" ]; then kill -TERM "$up" 2>/dev/null; wait "$up" 2>/dev/null; fi
  rm -rf "$state"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Bound together and released together, so that none comes twice.
gateway=$("$PYTHON" - "$state/config.json" <<'END'
import json, socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
free = ["127.0.0.1:%d" % s.getsockname()[1] for s in sockets]
peers = dict(zip(["encryption", "email", "auth", "token"], free))
config = {name: {"listen": address, "metrics": "off"} for name, address in peers.items()}
config["gateway"] = {"listen": free[4], "operations": free[5], "metrics": "off"}
config["peers"] = peers
with open(sys.argv[1], "w") as file:
    json.dump(config, file)
print(free[4])
END
) || exit 1
"$BIN/lockstep" certs --state "$state" > "$state/certs.log" 2>&1 || { cat "$state/certs.log"; exit 1; }
# In a session of its own: Ctrl-C reaches this script, which then asks once.
LOCKSTEP_STATE=$state setsid "$BIN/lockstep" up --state "$state" --bin "$BIN" > "$state/up.log" 2>&1 &
up=$!
ready=
for _ in $(seq 600); do
  curl --silent --fail --output /dev/null --cacert "$state/ca.pem" "https://$gateway/readyz" && ready=yes && break
  kill -0 "$up" 2>/dev/null || { echo "contract: the services ended:"; tail -n 40 "$state/up.log"; exit 1; }
  sleep 0.1
done
[ -n "$ready" ] || { echo "contract: the services were not ready within 60 s:"; tail -n 40 "$state/up.log"; exit 1; }
cases services --service encryption --service email --service auth --service token --service gateway --state "$state"

[ ${#failed[@]} -eq 0 ] || { echo "contract: FAILED: ${failed[*]}"; exit 1; }
