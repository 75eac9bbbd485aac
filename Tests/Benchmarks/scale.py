#!/usr/bin/env python3
"""What connections cost, ours against the floor's (NIO and TLS without calls): to make, to keep, and to call over.

Handshakes are full ones in mutual TLS 1.3, none resumed, by the same bare client for both servers; a connection counts once
the server has answered over it, ours with HELLO, the floor's with the frame it was sent. Memory is what the server's resident
set grows by between 100 and 5,000 connections that nobody uses; then as many more come as make 10,000, stay for longer than a
keepalive interval, and calls and new connections go on beside them. Last, calls over more and more connections, and more and
more at once on one: what a call costs may not grow with the square of either.
"""

import argparse
import pathlib
import tempfile
import time

from processes import Client, Neighbours, Server, Verdicts, allow_many_files, certificates, cpu, median, memory, milliseconds, spread, start

BOUND = 1.3
FEW, MANY, MOST = 100, 5000, 10_000
# Longer than the time between two PINGs, in seconds.
KEPT = 12
# How much dearer a call may be than at the step before, beyond what the floor's grows by.
GROWTH = 2
CONNECTIONS = [1, 10, 100, 1000, 5000]
OUTSTANDING = [1, 10, 100, 1000]
NAMES = {"floor": "floor", "sync": "SYNC INLINE"}


class Held:
    """Connections that stay until this ends."""

    def __init__(self, command):
        self.process = start(command, stdin=-1)
        if self.process.stdout.readline().strip() != "start":
            raise SystemExit("scale: the connections were not made")

    def end(self):
        """How many were still there."""
        out, _ = self.process.communicate()
        return int(out.split('"held": ')[1].split(",")[0])


class Bench:
    def __init__(self, program, state, options):
        self.program, self.state, self.seconds, self.rounds = program, state, options.seconds, options.rounds
        self.most = options.most
        self.verdicts = Verdicts()

    def server(self, peer):
        return Server([self.program, "serve", "--state", self.state, "--peer", peer])

    def command(self, verb, server, peer, *more):
        return [self.program, verb, "--state", self.state, "--peer", peer, "--port", server.port, *more]

    def measure(self, verb, server, peer, *more):
        """What a client says, and the server's CPU for each call or connection."""
        client = Client(self.command(verb, server, peer, "--seconds", self.seconds, *more)).started()
        before, began = cpu(server.pid), time.monotonic()
        # The client's last line comes when it has ended; what it measured, it measured in the seconds from now.
        time.sleep(max(0, self.seconds - (time.monotonic() - began)))
        used = cpu(server.pid) - before
        result = client.result()
        result["server_cpu"] = used / max(result["calls"], 1)
        return result

    def hold(self, server, peer, count):
        return Held(self.command("connect", server, peer, "--hold", count, "--parallel", 8))

    def in_turns(self, body):
        """`body` of each peer in each round, every other round backwards."""
        results = {peer: [] for peer in NAMES}
        for number in range(self.rounds):
            for peer in list(results) if number % 2 == 0 else reversed(list(results)):
                results[peer].append(body(peer))
        return results

    # To make.
    def handshakes(self):
        neighbours = Neighbours()

        def handshakes(peer):
            with self.server(peer) as server:
                return self.measure("connect", server, peer, "--parallel", 8)

        results = self.in_turns(handshakes)
        print(f"\nFull handshakes, 8 at once; {neighbours}")
        floor = median([r["rate"] for r in results["floor"]])
        for peer, rounds in results.items():
            rates = [r["rate"] for r in rounds]
            costs = f"server {median([r['server_cpu'] for r in rounds]):.0f} us, p50 {milliseconds(median([r['p50_us'] for r in rounds]))}"
            ratio = floor / median(rates)
            self.verdicts.line(f"handshakes/s, {NAMES[peer]}", spread(rates), ratio <= BOUND,
                               f"at most {BOUND}x" if peer != "floor" else "", f"{ratio:.2f}x the floor's time; {costs}")

    # To keep.
    def idle(self):
        neighbours = Neighbours()
        results = self.in_turns(lambda peer: self.keep(peer))
        print(f"\nConnections that nobody uses, {FEW} to {MANY:,}; {neighbours}")
        floor = median([r["each"] for r in results["floor"]])
        for peer, rounds in results.items():
            each = [r["each"] for r in rounds]
            ratio = median(each) / floor
            self.verdicts.line(f"KiB for each, {NAMES[peer]}", spread(each, lambda v: f"{v:.1f}"), ratio <= BOUND,
                               f"at most {BOUND}x" if peer != "floor" else "", f"{ratio:.2f}x; {rounds[-1]['all']:.0f} MiB with {MANY:,}")

    def keep(self, peer):
        with self.server(peer) as server:
            groups = [self.hold(server, peer, FEW)]
            time.sleep(1)
            few = memory(server.pid)
            groups.append(self.hold(server, peer, MANY - FEW))
            time.sleep(1)
            many = memory(server.pid)
            for group in groups:
                group.end()
            return {"each": (many - few) * 1024 / (MANY - FEW), "all": many}

    # And to go on beside.
    def crowd(self):
        neighbours = Neighbours()
        peer = "sync"
        with self.server(peer) as server:
            groups = [self.hold(server, peer, FEW)]
            quiet = self.beside(server, peer)
            step = (self.most - FEW) // 2
            groups += [self.hold(server, peer, step), self.hold(server, peer, self.most - FEW - step)]
            time.sleep(KEPT)
            busy = self.beside(server, peer)
            size = memory(server.pid)
            held = sum(group.end() for group in groups)
        print(f"\n{self.most:,} connections that nobody uses, calls beside them; {neighbours}")
        self.verdicts.line("connections still there", f"{held:,}", held == self.most, f"all of {self.most:,}", f"{size:.0f} MiB")
        for title, (before, after) in {key: (quiet[key], busy[key]) for key in quiet}.items():
            for key in ("p50_us", "p99_us"):
                self.verdicts.row(f"{title}, {key[:3]}", [after[key]], before[key] * 2 if key == "p99_us" else None, milliseconds,
                                  f"{milliseconds(before[key])} with {FEW}; {after[key] / before[key]:.2f}x")

    def beside(self, server, peer):
        calls = self.measure("call", server, peer, "--connections", 1, "--outstanding", 1, "--size", 128)
        fresh = self.measure("connect", server, peer, "--parallel", 1, "--rate", 50)
        return {"a call": calls, "a connection and its HELLO": fresh}

    # To call over.
    def growth(self):
        for title, values, arguments in [
            ("Calls of 128 B, one at a time on each of so many connections", CONNECTIONS, lambda n: ("--connections", n, "--outstanding", 1)),
            ("Calls of 128 B, so many at a time on one connection", OUTSTANDING, lambda n: ("--connections", 1, "--outstanding", n)),
        ]:
            neighbours, rows = Neighbours(), {}
            for value in values:
                rows[value] = {peer: self.called(peer, arguments(value)) for peer in NAMES}
            print(f"\n{title}; {neighbours}")
            before = None
            for value, row in rows.items():
                ours, floor = row["sync"], row["floor"]
                grown = ours["server_cpu"] / before["sync"]["server_cpu"] if before else 1
                expected = max(1, floor["server_cpu"] / before["floor"]["server_cpu"]) if before else 1
                self.verdicts.line(
                    f"{value:,}", f"{ours['rate']:,.0f}/s, {ours['memory']:.0f} MiB, p99 {milliseconds(ours['p99_us'])}",
                    grown <= GROWTH * expected, f"{GROWTH}x the one before" if before else "",
                    f"server {ours['server_cpu']:.1f} us a call, {ours['refused']:,.0f} refused; floor {floor['rate']:,.0f}/s, {floor['memory']:.0f} MiB, "
                    f"{floor['server_cpu']:.1f} us")
                before = row

    def called(self, peer, arguments):
        with self.server(peer) as server:
            result = self.measure("call", server, peer, "--size", 128, *arguments)
            return {**result, "memory": memory(server.pid, "VmHWM")}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=".build-release/release", help="where the programs are")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=int, default=MOST, help="connections that are held at once")
    parser.add_argument("--only", choices=["handshakes", "idle", "crowd", "growth"])
    options = parser.parse_args()
    files = allow_many_files()
    if files < options.most + 500:
        options.most = files - 500
        print(f"Only {files:,} files may be open: {options.most:,} connections at most.")
    programs = pathlib.Path(options.bin)
    with tempfile.TemporaryDirectory() as state:
        certificates(programs, state)
        bench = Bench(programs / "lockstep-echo", state, options)
        print(f"Scale: medians of {options.rounds} rounds; each measurement {options.seconds:g} s.")
        for part in (bench.handshakes, bench.idle, bench.crowd, bench.growth):
            if options.only in (None, part.__name__):
                part()
        bench.verdicts.summary()


if __name__ == "__main__":
    main()
