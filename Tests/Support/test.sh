#!/usr/bin/env bash
# Runs the tests, shows each suite and each failure as it comes, and ends with what failed and why: who reads only the end of a log
# reads what matters. Everything the tests print goes to LOG. Tests that stand still are ended, with their name and their threads.
#   test.sh LOG swift test ...
set -uo pipefail
log=$1; shift
mkdir -p "$(dirname "$log")"
: > "$log"
# Seconds without a word after which tests count as standing still: many times what the slowest takes on a busy machine.
patience=${LOCKSTEP_TEST_PATIENCE:-900}
threads=${log%.log}.threads.txt
rm -f "$threads"

descendants() {
  local child
  for child in $(pgrep -P "$1"); do
    echo "$child"
    descendants "$child"
  done
}

# Where each thread of a process stands. A debugger may stand still itself.
stacks() {
  if command -v gdb > /dev/null; then
    timeout 300 gdb -p "$1" -batch -ex 'thread apply all bt 40'
  elif command -v lldb > /dev/null; then
    timeout 300 lldb --batch -p "$1" -o 'thread backtrace all'
  fi > "$threads" 2> /dev/null
}

# The program with the tests is ended first: `swift test` then writes what it held back, which names the test. Looks are counted,
# not the clock's time: a machine that slept is no reason.
watch_over() {
  local pid last="" now looks=0 seen="" whole=$((patience / 5))
  local limit=$whole
  while sleep 5 && kill -0 "$1" 2> /dev/null; do
    now=$(stat -c %Y.%s "$log")
    [ "$now" = "$last" ] || { last=$now looks=0 limit=$whole; continue; }
    looks=$((looks + 1))
    [ "$looks" -ge "$limit" ] || continue
    looks=0 limit=24
    for pid in $(descendants "$1"); do
      case $(cat "/proc/$pid/comm" 2> /dev/null) in lockstepPackage*) ;; *) continue ;; esac
      echo "No word for $patience s: the tests stand still and are ended. Their threads are in $threads." | tee -a "$log"
      stacks "$pid"
      kill -KILL "$pid"
      seen=$pid
      continue 2
    done
    # It was ended, and something still holds up the end of the rest.
    [ -z "$seen" ] || pkill -KILL -P "$1" swift-test
  done
}

watch_over $$ 2> /dev/null &
watcher=$!
trap '{ pkill -P "$watcher"; kill "$watcher"; wait "$watcher"; } 2> /dev/null' EXIT
# Single tests that start or pass are in the log alone: they are thousands.
"$@" 2>&1 | tee -a "$log" | grep --line-buffered -avE '^(◇ Test|✔ Test [^r]|✔ Test r[^u])'
status=${PIPESTATUS[0]}
if grep -aqE 'Test run with 0 tests' "$log" || { [ "$status" = 0 ] && ! grep -aqE '^(✔|✘) Test run with ' "$log"; }; then
  echo "No test ran: FILTER is a part of a suite's or a test's name, such as WireCoreTests." >&2
  exit 64
fi
[ "$status" = 0 ] && exit 0

echo
echo "What failed (all that was printed is in $log):"
# An issue with the lines below it, which tell the values; a crash has neither.
awk '/^(◇|✔|✘) (Test|Suite|Passing)/ { shown = 0 }
     /^✘ .* recorded an issue / { shown = 16 }
     /error:|Fatal error|unexpected signal/ && !shown { shown = 1 }
     shown { print; shown-- }' "$log" | head -n 200
if ! grep -aqE '^(✔|✘) Test run with ' "$log"; then
  echo "The run did not come to its end. Its last lines:"
  tail -n 20 "$log"
  # Waits of the tests' own are in no thread: these are the others'.
  [ -s "$threads" ] && { echo "Where its threads stood, in short:"; grep -aE '^Thread|/(Sources|services|Tests)/' "$threads" | head -n 120; }
fi
echo "Again, one suite alone: the same command with FILTER=NAME"
exit "$status"
