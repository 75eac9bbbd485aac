#!/usr/bin/env bash
# Proves that each fuzz target finds the fault planted in it, then fuzzes all of them.
#   fuzz.sh BINARY DURATION [TARGET ...]       DURATION as 90s, 10m or 1h, for all targets together
set -euo pipefail
binary=$1 duration=$2; shift 2
targets=("$@"); [ $# -gt 0 ] || targets=(frames server client http)
here=$(cd "$(dirname "$0")" && pwd)
work=$(dirname "$binary")/fuzzing
export SWIFT_BACKTRACE=enable=no

case $duration in
  *h) total=$((${duration%h} * 3600)) ;;
  *m) total=$((${duration%m} * 60)) ;;
  *) total=${duration%s} ;;
esac
# Two at a time: two cores are all there may be.
each=$((total * 2 / ${#targets[@]})); [ "$each" -gt 0 ] || each=1

flags() { # TARGET: what all runs of it share
  echo "-timeout=10 -rss_limit_mb=1024 -max_len=1024 -len_control=0 -use_value_profile=1 -print_final_stats=1"
  [ ! -e "$here/$1.dict" ] || echo "-dict=$here/$1.dict"
}

prove() { # TARGET: a fault built in must be found, from nothing
  local out="$work/$1/planted"; rm -rf "$out"; mkdir -p "$out/corpus"
  if FUZZ_TARGET=$1 FUZZ_PLANT=1 "$binary" $(flags "$1") -max_total_time=300 -artifact_prefix="$out/" "$out/corpus" \
      > "$out/log" 2>&1; then
    echo "$1: the planted fault was NOT found; see $out/log"; return 1
  fi
  grep -q "BROKEN PROMISE" "$out/log" || { echo "$1: died of something else; see $out/log"; return 1; }
}

hunt() { # TARGET: new inputs are kept in the build folder, crashes in Regressions
  local out="$work/$1"; mkdir -p "$out/corpus" "$here/Corpus/$1" "$here/Regressions/$1"
  FUZZ_TARGET=$1 "$binary" $(flags "$1") -max_total_time="$each" -artifact_prefix="$here/Regressions/$1/" \
    "$out/corpus" "$here/Corpus/$1" "$here/Regressions/$1" > "$out/log" 2>&1 ||
    { echo "$1: FAILED"; grep -E "BROKEN PROMISE|ERROR|Test unit written" "$out/log" | tail -5; return 1; }
}

stat() { grep -E "stat::$2:" "$1" | grep -oE "[0-9]+" | tail -1; }
runs_until_crash() { grep -oE "^#[0-9]+" "$1" | tail -1 | tr -d '#'; }

row() { # TARGET
  local log="$work/$1/log" edges covered kept
  edges=$(grep -oE "[0-9]+ inline 8-bit counters" "$log" | head -1 | cut -d' ' -f1)
  covered=$(grep -oE "cov: [0-9]+" "$log" | tail -1 | cut -d' ' -f2)
  kept=$(grep -oE "corp: [0-9]+" "$log" | tail -1 | cut -d' ' -f2)
  printf "%-8s %12s %8s %9s of %-7s %8s   found, about run %s\n" "$1" "$(stat "$log" number_of_executed_units)" \
    "$(stat "$log" average_exec_per_sec)" "$covered" "$edges" "$kept" "$(runs_until_crash "$work/$1/planted/log")"
}

pairs() { # COMMAND: for every target, two at a time; fails when one does
  local failed=0 waiting=()
  for target in "${targets[@]}"; do
    "$1" "$target" & waiting+=($!)
    if [ ${#waiting[@]} -eq 2 ]; then for pid in "${waiting[@]}"; do wait "$pid" || failed=1; done; waiting=(); fi
  done
  for pid in "${waiting[@]}"; do wait "$pid" || failed=1; done
  return $failed
}

echo "Planted faults ..."
mkdir -p "$work"; for target in "${targets[@]}"; do mkdir -p "$work/$target"; done
pairs prove
echo "Fuzzing, ${each} s each ..."
failed=0; pairs hunt || failed=1
printf "%-8s %12s %8s %20s %8s   %s\n" target runs runs/s "edges covered" corpus "planted fault"
for target in "${targets[@]}"; do row "$target"; done
[ $failed = 0 ] && echo "No promise was broken."
exit $failed
