#!/usr/bin/env python3
"""Lockstep's echoes against the floor below them (NIO and TLS without calls), in turns on one machine.

Each figure is the median of the rounds, with the least and the most; each round starts every server anew, and every other
round goes through them backwards. Client and server are processes of their own and share the machine's cores.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

TICKS = os.sysconf("SC_CLK_TCK")
PEERS = ["floor", "sync", "async"]
# Name, what the client is told, peers.
SHAPES = [
    ("128 B, 4 connections x 64", ["--connections", "4", "--outstanding", "64", "--size", "128"], PEERS),
    ("128 B, 1 x 1, callers on the loop", ["--connections", "1", "--outstanding", "1", "--size", "128"], PEERS),
    (
        "128 B, 1 x 1, default executor",
        ["--connections", "1", "--outstanding", "1", "--size", "128", "--off-loop"],
        ["sync", "async"],
    ),
    ("16 KiB, 4 connections x 64", ["--connections", "4", "--outstanding", "64", "--size", "16384"], PEERS),
    (
        "server stream of 16 KiB, 1 x 1",
        ["--connections", "1", "--outstanding", "1", "--size", "16384", "--stream"],
        ["floor", "async"],
    ),
]


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


def measure(program, state, peer, arguments, seconds):
    """One server, one client: what the client says, and the server's CPU for each call and its memory."""
    server = subprocess.Popen(
        [program, "serve", "--state", state, "--peer", peer], stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip()
        client = subprocess.Popen(
            [program, "call", "--state", state, "--peer", peer, "--port", port, "--seconds", str(seconds), *arguments],
            stdout=subprocess.PIPE, text=True)
        if client.stdout.readline().strip() != "start":
            raise SystemExit(f"echo: the client of {peer} did not start")
        before = cpu(server.pid)
        result = json.loads(client.stdout.readline())
        calls = max(result["calls"], 1)
        result["server_cpu"] = (cpu(server.pid) - before) / calls
        result["client_cpu"] = result["cpu_us"] / calls
        result["memory"] = peak(server.pid)
        client.wait()
        return result
    finally:
        server.kill()
        server.wait()


def spread(values, form):
    """`median [least - most]`"""
    return f"{form(statistics.median(values))} [{form(min(values))} - {form(max(values))}]"


def report(name, results):
    print(f"\n{name}")
    floor = statistics.median(r["rate"] for r in results["floor"]) if "floor" in results else None
    for peer, rounds in results.items():
        rates = [r["rate"] for r in rounds]
        share = f"  {statistics.median(rates) / floor:6.1%} of the floor" if floor else ""
        waits = f"p50 {statistics.median(r['p50_us'] for r in rounds):8.1f} us  p99 {statistics.median(r['p99_us'] for r in rounds):8.1f} us"
        print(
            f"  {peer:<6} {spread(rates, lambda v: f'{v:,.0f}'):<40} calls/s{share}\n"
            f"         {waits}  CPU/call: server {statistics.median(r['server_cpu'] for r in rounds):.2f} us, "
            f"client {statistics.median(r['client_cpu'] for r in rounds):.2f} us  "
            f"server's peak {max(r['memory'] for r in rounds):.0f} MiB",
            flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=".build-release/release", help="where the programs are")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    programs = pathlib.Path(options.bin)
    with tempfile.TemporaryDirectory() as state:
        subprocess.run([programs / "lockstep", "certs", "--state", state], check=True, stdout=subprocess.DEVNULL)
        for name, arguments, peers in SHAPES:
            results = {peer: [] for peer in peers}
            for number in range(options.rounds):
                for peer in peers if number % 2 == 0 else reversed(peers):
                    results[peer].append(
                        measure(programs / "lockstep-echo", state, peer, arguments, options.seconds))
            report(name, results)


if __name__ == "__main__":
    main()
