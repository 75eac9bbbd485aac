#!/usr/bin/env python3
"""Lockstep's echoes against the floor below them (NIO and TLS without calls), grpc-swift-2 and grpc-go, in turns.

Each figure is the median of the rounds, with the least and the most; each round starts every server anew, and every other
round goes through them backwards. Client and server are processes of their own and share the machine's cores. All speak
mutual TLS 1.3 and carry one protobuf message with a bytes field; the floor carries bytes. A peer whose program is not
there is left out.

Bounds are told as in the other parts: reached or missed, which fails nothing, since another machine is another measure.
Allocations are counted in rounds of their own, and are the one figure that does not depend on the machine: above the
bound of ALLOCATIONS this ends with 1.
"""

import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile

from processes import Verdicts

TICKS = os.sysconf("SC_CLK_TCK")
PROGRAMS = {
    "floor": "lockstep-echo", "sync": "lockstep-echo", "async": "lockstep-echo",
    "grpc-swift": "grpc-swift-echo", "grpc-go": "grpc-go-echo",
}
EVERYBODY = list(PROGRAMS)
# Name, what the client is told, peers.
SHAPES = [
    ("128 B, 4 connections x 64", ["--connections", "4", "--outstanding", "64", "--size", "128"], EVERYBODY),
    ("128 B, 1 x 1, callers on the loop", ["--connections", "1", "--outstanding", "1", "--size", "128"], EVERYBODY),
    (
        "128 B, 1 x 1, default executor",
        ["--connections", "1", "--outstanding", "1", "--size", "128", "--off-loop"],
        ["sync", "async"],
    ),
    ("16 KiB, 4 connections x 64", ["--connections", "4", "--outstanding", "64", "--size", "16384"], EVERYBODY),
    (
        "server stream of 16 KiB, 1 x 1",
        ["--connections", "1", "--outstanding", "1", "--size", "16384", "--stream"],
        ["floor", "async", "grpc-swift", "grpc-go"],
    ),
]
# By shape: what is compared, the least or (with "most") the most that it may be. Ratios are of calls/s, and of p50 where a caller
# waits alone.
BOUNDS = {
    "128 B, 4 connections x 64": [
        ("sync", "grpc-swift", 60), ("sync", "grpc-go", 8), ("async", "grpc-swift", 35), ("async", "grpc-go", 4),
        ("sync", "server_cpu", 0.8), ("async", "server_cpu", 1.6)],
    "128 B, 1 x 1, callers on the loop": [("sync", "p50_us", 1.25), ("async", "p50_us", 1.25)],
    "16 KiB, 4 connections x 64": [("sync", "floor", 0.5), ("async", "floor", 0.5)],
    "server stream of 16 KiB, 1 x 1": [("async", "floor", 0.6)],
}
# The most that a unary call of 128 B may allocate on each side, and what other work of the process may add to it.
ALLOCATIONS = {"sync": (4, 5), "async": (11, 5)}
ALLOWANCE = 0.5


def cpu(pid):
    """Microseconds of CPU that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS * 1e6


def peak(pid):
    """The most memory that it has had, MiB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def measure(program, state, peer, arguments, seconds, count=None):
    """One server, one client: what the client says, the server's CPU for each call and its memory.

    With `count`, a library, also the allocations of each side for each call."""
    counters = [tempfile.NamedTemporaryFile(), tempfile.NamedTemporaryFile()] if count else [None, None]
    environments = [environment(count, counter) for counter in counters]
    server = subprocess.Popen(
        [program, "serve", "--state", state, "--peer", peer], stdout=subprocess.PIPE, text=True, env=environments[0])
    try:
        port = server.stdout.readline().strip()
        client = subprocess.Popen(
            [program, "call", "--state", state, "--peer", peer, "--port", port, "--seconds", str(seconds), *arguments],
            stdout=subprocess.PIPE, text=True, env=environments[1])
        if client.stdout.readline().strip() != "start":
            raise SystemExit(f"echo: the client of {peer} did not start")
        before, counted = cpu(server.pid), [read(counter) for counter in counters]
        result = json.loads(client.stdout.readline())
        calls = max(result["calls"], 1)
        result["server_cpu"] = (cpu(server.pid) - before) / calls
        result["client_cpu"] = result["cpu_us"] / calls
        result["memory"] = peak(server.pid)
        result["allocations"] = [(read(counter) - old) / calls for counter, old in zip(counters, counted)]
        client.wait()
        return result
    finally:
        server.kill()
        server.wait()


def environment(library, counter):
    if not counter:
        return None
    counter.write(bytes(8))
    counter.flush()
    return {**os.environ, "LD_PRELOAD": str(pathlib.Path(library).resolve()), "MALLOC_COUNT": counter.name}


def read(counter):
    return struct.unpack("=Q", pathlib.Path(counter.name).read_bytes())[0] if counter else 0


def spread(values, form):
    """`median [least - most]`"""
    return f"{form(statistics.median(values))} [{form(min(values))} - {form(max(values))}]"


def report(name, results):
    print(f"\n{name}")
    medians = {peer: statistics.median(r["rate"] for r in rounds) for peer, rounds in results.items()}
    for peer, rounds in results.items():
        rates = [r["rate"] for r in rounds]
        waits = f"p50 {statistics.median(r['p50_us'] for r in rounds):8.1f} us  p99 {statistics.median(r['p99_us'] for r in rounds):8.1f} us"
        print(
            f"  {peer:<10} {spread(rates, lambda v: f'{v:,.0f}'):<40} calls/s{shares(peer, medians)}\n"
            f"             {waits}  CPU/call: server {statistics.median(r['server_cpu'] for r in rounds):.2f} us, "
            f"client {statistics.median(r['client_cpu'] for r in rounds):.2f} us  "
            f"server's peak {max(r['memory'] for r in rounds):.0f} MiB",
            flush=True)


def judge(shape, results, verdicts):
    """The bounds of a shape, as far as those compared are here."""
    def figure(peer, name):
        return statistics.median(r[name] for r in results[peer])

    for peer, other, bound in BOUNDS.get(shape, []):
        if peer not in results or (other in PROGRAMS and other not in results):
            continue
        name = f"{shape}: {peer}"
        if other == "server_cpu":
            value = figure(peer, other)
            verdicts.line(f"{name}, server's CPU", f"{value:.2f} us", value <= bound, f"at most {bound} us")
        elif other == "p50_us" and "floor" in results:
            value = figure(peer, other) / figure("floor", other)
            verdicts.line(f"{name}, p50", f"{value:.2f}x the floor", value <= bound, f"at most {bound}x")
        elif other in PROGRAMS:
            value = figure(peer, "rate") / figure(other, "rate")
            verdicts.line(f"{name} against {other}", f"{value:.2f}x the calls/s", value >= bound, f"at least {bound}x")


def shares(peer, medians):
    """How Lockstep's rate compares with that of each other."""
    if peer not in ("sync", "async"):
        return ""
    text = f"  {medians[peer] / medians['floor']:.1%} of the floor" if "floor" in medians else ""
    for other in ("grpc-swift", "grpc-go"):
        if other in medians:
            text += f", {medians[peer] / medians[other]:.1f}x {other}"
    return text


def count(programs, state, library):
    """Whether allocations stay within their bounds."""
    print("\nallocations for each call (128 B, 4 connections x 64)")
    isWithin = True
    for peer, bounds in ALLOCATIONS.items():
        result = measure(programs / PROGRAMS[peer], state, peer, SHAPES[0][1], 2, library)
        for side, number, bound in zip(("server", "client"), result["allocations"], bounds):
            # None at all is a library that was not loaded.
            verdict = "NOT COUNTED" if number <= 0 else "ok" if number <= bound + ALLOWANCE else "TOO MANY"
            isWithin = isWithin and verdict == "ok"
            print(f"  {peer:<10} {side}  {number:5.1f}, at most {bound}  {verdict}")
    return isWithin


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=".build-release/release", help="where the programs are")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--counter", help="the library that counts allocations (malloc-count.c); not counted without")
    options = parser.parse_args()
    programs = pathlib.Path(options.bin)
    if options.counter and not pathlib.Path(options.counter).exists():
        sys.exit(f"{options.counter} is not there: `make bench` builds it, cc -O2 -shared -fPIC -o {options.counter} Tests/Benchmarks/malloc-count.c")
    missing = sorted({p for p in PROGRAMS.values() if not (programs / p).exists()})
    if missing:
        print(f"Not there, so left out: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as state:
        subprocess.run([programs / "lockstep", "certs", "--state", state], check=True, stdout=subprocess.DEVNULL)
        everything = []
        for name, arguments, peers in SHAPES:
            results = {peer: [] for peer in peers if PROGRAMS[peer] not in missing}
            for number in range(options.rounds):
                for peer in list(results) if number % 2 == 0 else reversed(list(results)):
                    results[peer].append(
                        measure(programs / PROGRAMS[peer], state, peer, arguments, options.seconds))
            report(name, results)
            everything.append((name, results))
        print("\nBounds")
        verdicts = Verdicts()
        for name, results in everything:
            judge(name, results, verdicts)
        verdicts.summary()
        if options.counter and not count(programs, state, options.counter):
            sys.exit(1)


if __name__ == "__main__":
    main()
