#!/usr/bin/env bash
# Unit and integration tests under a sanitizer. Fails when a test does, or when the sanitizer says anything.
#   run.sh thread|address SCRATCH [FILTER]
set -euo pipefail
kind=$1 scratch=$2 filter=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
reports="$scratch/reports"; rm -rf "$reports"; mkdir -p "$reports"
reports=$(cd "$reports" && pwd)
# Of EndToEndTests the walk through the five processes, below: they are built with the sanitizer too, inherit what is set here
# and report into the same folder. The others look at locked pages and memory, which a sanitizer changes, or kill processes
# and wait for them as long as they take without one.
walk='EndToEndTests\.SystemTests/(aPersonWalksThrough|fiveProcessesRun|aServiceMayCallWhatTheContractSays|aServiceMayNotCallAnythingElse)'
select=(--skip EndToEndTests); [ -z "$filter" ] || select+=(--filter "$filter")
settings=() preload=""
case $kind in
  thread)
    clang -shared -fPIC -O2 -D_GNU_SOURCE "$here/mutex.c" -o "$scratch/mutex.so"
    preload=$(realpath "$scratch/mutex.so")
    settings=("TSAN_OPTIONS=halt_on_error=0 log_path=$reports/thread second_deadlock_stack=1 suppressions=$here/thread.txt") ;;
  # Without LeakSanitizer: it sees no reference that Swift packs with other bits into an enum or a Data, and takes what globals
  # hold for leaks. That connections, calls and sessions are freed is asserted by tests of their own, with weak references.
  address) settings=("ASAN_OPTIONS=halt_on_error=0 log_path=$reports/address detect_leaks=0") ;;
esac
failed=0
# The preloaded library's own dependence on the sanitizer is met by the test program alone.
tests() {
  local log=$1; shift
  LOCKSTEP_TEST_PATIENCE=${LOCKSTEP_TEST_PATIENCE:-1800} "$here/../Support/test.sh" "$scratch/$log" \
    env LOCKSTEP_SANITIZER="$kind" SWIFT_BACKTRACE=enable=no "${settings[@]}" ${preload:+LD_PRELOAD=$preload} \
    swift test --sanitize="$kind" --scratch-path "$scratch" --skip-build --no-parallel "$@" || failed=1
}
tests test.log "${select[@]}"
[ -n "$filter" ] || tests walk.log --filter "$walk"
found=$(find "$reports" -type f | wc -l)
if [ "$found" -gt 0 ]; then
  echo "The sanitizer has something to say ($found files in $reports):"
  grep -h "SUMMARY" "$reports"/* | sort | uniq -c | sort -rn | head -40
  exit 1
fi
[ $failed = 0 ] && echo "The $kind sanitizer has nothing to say."
exit $failed
