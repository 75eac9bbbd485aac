#!/bin/sh
# A PostgreSQL server for one test process, in a folder of its own; both are gone when standard input ends, however that
# comes about.
#   server.sh PORT
# Says "ready FOLDER", then takes lines: stop (as an operator would), crash (at once, nothing is tidied up), kill (SIGKILL to
# each of its processes), start, freeze (alive, and answers nothing) and thaw, and answers each with "done". PostgreSQL refuses
# to run as root: then it runs as `postgres`.
set -eu
port=$1
trap '' INT
if [ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ]; then
  bin=$(dirname "$(ls -d /usr/lib/postgresql/*/bin/initdb | sort -V | tail -1)")
else
  bin=$(dirname "$(command -v initdb)")
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/lockstep-postgres-XXXXXX")
as=""
if [ "$(id -u)" = 0 ]; then
  chown postgres "$folder"
  as="setpriv --reuid=postgres --regid=postgres --clear-groups"
fi
cd "$folder"
# With the server's output, no process of its holds on to this one's.
control() { $as "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -t 60 -w "$@" >/dev/null 2>&1 </dev/null; }
signal() {
  postmaster=$(head -n 1 "$folder/data/postmaster.pid")
  kill "-$1" "$postmaster" $(pgrep -P "$postmaster")
}
# The postmaster stands still first, so that it starts nobody; back when none is left, since a start finds the memory of one
# that is.
slay() {
  postmaster=$(head -n 1 "$folder/data/postmaster.pid")
  kill -STOP "$postmaster"
  all="$postmaster $(pgrep -P "$postmaster" || true)"
  kill -KILL $all 2>/dev/null || true
  for process in $all; do
    while kill -0 "$process" 2>/dev/null && [ "$(cut -d' ' -f3 "/proc/$process/stat" 2>/dev/null)" != Z ]; do :; done
  done
  # Where nobody buries the dead yet, a start would take their number for a server that runs.
  rm -f "$folder/data/postmaster.pid" "$folder/.s.PGSQL.$port.lock"
}
cleanup() {
  signal CONT 2>/dev/null || true
  control stop -m immediate || true
  rm -rf "$folder"
}
trap cleanup EXIT
echo test-password > password
[ -z "$as" ] || chown postgres password
$as "$bin/initdb" -D "$folder/data" -U postgres --pwfile=password --auth-local=trust --auth-host=scram-sha-256 \
  --no-sync -E UTF8 --locale=C >initdb.log 2>&1 </dev/null || { cat initdb.log >&2; exit 1; }
$as openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$folder/data/server.key" -out "$folder/data/server.crt" \
  >/dev/null 2>&1
chmod 600 "$folder/data/server.key"
cp "$folder/data/server.crt" "$folder/server.crt"
# A crash of the server alone loses nothing that the system has: fsync is for power cuts.
cat >> "$folder/data/postgresql.conf" <<END
unix_socket_directories = '$folder'
listen_addresses = '127.0.0.1'
port = $port
ssl = on
fsync = off
max_connections = 200
log_min_messages = warning
END
control start || { cat "$folder/log" >&2; exit 1; }
echo "ready $folder"
while read -r command; do
  case $command in
    stop) control stop -m fast || true ;;
    crash) control stop -m immediate || true ;;
    kill) slay ;;
    start) control start || { cat "$folder/log" >&2; exit 1; } ;;
    freeze) signal STOP ;;
    thaw) signal CONT ;;
  esac
  echo done
done
