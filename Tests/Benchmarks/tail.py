#!/usr/bin/env python3
"""What slow work does to the quick work beside it: times with it, against times without it in the same run.

First, ASYNC: one call in a hundred sleeps for 5 ms, at half of what the server answers when the same load asks for more. What
is measured is the others. Server and load have a core each.

Second, bcrypt fills the CPU pool of a SYNC server with a thread for each core. What is measured is its INLINE calls, and an
ASYNC service in another process: pool threads have to give way to event loops. Everything shares the machine, as in a
deployment. How much hashing is left is told too: a pool that gave way to everything would starve.

Third, streams of 64 MB, one after the other, share one connection with small calls, one at a time. What a call waits for is what
the stream has in buffers on the way: the bound is what they hold at a modest rate, not a multiple of an idle connection's time.
"""

import argparse
import pathlib
import tempfile

from processes import CORES, Client, Neighbours, Server, Verdicts, can_be_urgent, certificates, median, milliseconds, spread

SLOW_MICROS, SLOW_EVERY = 5000, 100
# What the ASYNC service beside the pool waits for.
WAIT_MICROS = 5000
HASH_ROUNDS = 10
PROBE = 200
STREAM = 64 * 1024 * 1024
# Microseconds: the 6 MiB that a PONG of the contract tests may wait for, at 600 MB/s.
BEHIND_STREAM = 10_000


class Bench:
    def __init__(self, program, state, options):
        self.program, self.state, self.seconds, self.rounds = program, state, options.seconds, options.rounds
        self.verdicts = Verdicts()
        self.is_urgent = can_be_urgent()
        self.ahead = 1 if options.ahead and self.is_urgent else 0

    def server(self, method, micros, *more, **place):
        return Server([self.program, "serve-overload", "--state", self.state, "--method", method, "--micros", micros, *more], **place)

    def caller(self, server, method, rate, seconds=None, *more, **place):
        return Client([self.program, "call-overload", "--state", self.state, "--port", server.port, "--method", method, "--rate", rate,
                       "--seconds", seconds or self.seconds, *more], **place)

    # One call in a hundred sleeps.
    def sleepers(self):
        neighbours = Neighbours()
        capacity, without, beside = [], [], []
        for _ in range(self.rounds):
            with self.server("mixed", SLOW_MICROS, cores={CORES[0]}, urgency=self.ahead) as server:
                def call(rate, seconds=None, outstanding=2000, slow=0):
                    more = ["--connections", 4, "--outstanding", outstanding, "--slow-every", slow]
                    return self.caller(server, "mixed", rate, seconds, *more, cores={CORES[-1]}, urgency=self.ahead).started().result()

                most = call(1e6, 2, outstanding=128)
                capacity.append(most["ok"] / most["seconds"])
                without.append(call(capacity[-1] / 2))
                beside.append(call(capacity[-1] / 2, slow=SLOW_EVERY))
        print(f"\nASYNC, one call in {SLOW_EVERY} sleeps {SLOW_MICROS / 1000:g} ms, {median(capacity) / 2:,.0f}/s of at most "
              f"{median(capacity):,.0f}/s; {neighbours}")
        for key, name, times in [("p50_us", "p50", None), ("p99_us", "p99", None), ("p999_us", "p99.9", 2)]:
            before, after = [r[key] for r in without], [r[key] for r in beside]
            self.verdicts.row(f"{name} without sleepers", before, None, milliseconds)
            self.verdicts.row(f"{name} of the others beside them", after, times and median(before) * times, milliseconds,
                              f"{median(after) / median(before):.2f}x")

    # Password hashing fills the pool; small calls go on beside it.
    def hashing(self, scheduling):
        flags = [] if scheduling is None else ["--policy", scheduling[0], "--niceness", scheduling[1]]
        name = "as it is" if scheduling is None else " ".join(scheduling)
        quiet, busy, alone, beside = [], [], [], []
        neighbours = Neighbours()
        with self.server("pool", 1, "--threads", len(CORES), "--rounds", HASH_ROUNDS, *flags) as sync, \
                self.server("async", WAIT_MICROS, "--threads", len(CORES)) as other:
            for _ in range(self.rounds):
                quiet.append(self.probes(sync, other))
                alone.append(self.hashes(sync).started().result())
                load = self.hashes(sync, 3).started()
                busy.append(self.probes(sync, other))
                beside.append(load.result())
        rates = [[r["ok"] / r["seconds"] for r in results] for results in (alone, beside)]
        print(f"\nbcrypt of {HASH_ROUNDS} rounds on {len(CORES)} pool threads ({name}), small calls at {PROBE}/s each; {neighbours}")
        for index, (title, times) in enumerate([("INLINE, same process", 3), ("ASYNC, another process", 1.2)]):
            before, after = [[pair[index]["p99_us"] for pair in pairs] for pairs in (quiet, busy)]
            middle = [median([pair[index]["p50_us"] for pair in pairs]) for pairs in (quiet, busy)]
            self.verdicts.row(f"{title}: p99, quiet", before, None, milliseconds, f"p50 {milliseconds(middle[0])}")
            self.verdicts.row(f"{title}: p99, pool full", after, median(before) * times, milliseconds,
                              f"{median(after) / median(before):.2f}x; p50 {milliseconds(middle[1])}")
        share = median(rates[1]) / median(rates[0])
        self.verdicts.line("bcrypt beside them", f"{spread(rates[1])} hashes/s", share >= 0.75, "at least 75 %",
                           f"{share:.0%} of {spread(rates[0])} alone")

    # Small calls on the connection of a large stream.
    def streams(self):
        neighbours = Neighbours()
        alone, beside = [], []
        for _ in range(self.rounds):
            with Server([self.program, "serve", "--state", self.state, "--peer", "async"], cores={CORES[0]}, urgency=self.ahead) as server:
                def call(*more):
                    command = [self.program, "call", "--state", self.state, "--peer", "async", "--port", server.port, "--connections", 1,
                               "--outstanding", 1, "--seconds", self.seconds, *more]
                    return Client(command, cores={CORES[-1]}, urgency=self.ahead).started().result()

                alone.append(call())
                beside.append(call("--beside", STREAM))
        rate = median([r["streamed"] / r["seconds"] for r in beside])
        print(f"\nSmall calls beside streams of {STREAM // 2**20} MiB on their connection, {rate / 1e6:,.0f} MB/s; {neighbours}")
        for key, name, bound in [("p50_us", "p50", None), ("p99_us", "p99", BEHIND_STREAM)]:
            self.verdicts.row(f"{name} without a stream", [r[key] for r in alone], None, milliseconds)
            self.verdicts.row(f"{name} beside one", [r[key] for r in beside], bound, milliseconds,
                              f"{median([r['calls'] / r['seconds'] for r in beside]):,.0f} calls/s")

    # At the same time: neither is much of a load.
    def probes(self, sync, other):
        urgency = 1 if self.is_urgent else 0
        inline = self.caller(sync, "inline", PROBE, urgency=urgency).started()
        asynchronous = self.caller(other, "async", PROBE, urgency=urgency).started()
        return inline.result(), asynchronous.result()

    def hashes(self, sync, more=0):
        return self.caller(sync, "pool", 400, self.seconds + more, "--outstanding", 3 * len(CORES))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=".build-release/release", help="where the programs are")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["sleepers", "hashing", "streams"])
    parser.add_argument("--ahead", action="store_true", help="the first part ahead of the rest of the machine, where others are busy")
    parser.add_argument("--schedulings", help="compare these for the pool, such as batch:0,normal:5,idle:0")
    options = parser.parse_args()
    programs = pathlib.Path(options.bin)
    with tempfile.TemporaryDirectory() as state:
        certificates(programs, state)
        bench = Bench(programs / "lockstep-echo", state, options)
        print(f"Tails: medians of {options.rounds} rounds of {options.seconds:g} s.")
        if options.only in (None, "sleepers"):
            bench.sleepers()
        if options.only in (None, "streams"):
            bench.streams()
        if options.only in (None, "hashing"):
            for item in options.schedulings.split(",") if options.schedulings else [None]:
                bench.hashing(item and item.split(":"))
        bench.verdicts.summary()


if __name__ == "__main__":
    main()
