#!/usr/bin/env bash
# Runs the tests, shows each suite and each failure as it comes, and ends with what failed and why: who reads only the end of a log
# reads what matters. Everything the tests print goes to LOG.
#   test.sh LOG swift test ...
set -uo pipefail
log=$1; shift
mkdir -p "$(dirname "$log")"
# Single tests that start or pass are in the log alone: they are thousands.
"$@" 2>&1 | tee "$log" | grep --line-buffered -avE '^(◇ Test|✔ Test [^r]|✔ Test r[^u])'
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
fi
echo "Again, one suite alone: make test FILTER=NAME"
exit "$status"
