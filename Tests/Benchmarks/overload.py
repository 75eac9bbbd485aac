#!/usr/bin/env python3
"""What users of either lane wait for while others ask for five times what a service can do, each against its unloaded figure.

Server, load and probe are processes of their own. In the first part the server has one core to itself, with one event loop
and one CPU worker, and the callers share the other: what is measured is the server's order of work, not who gets the core. In
the second part everything has both cores, as in a deployment: password hashing saturates the CPU pool, and what is measured
is whether the pool's threads give way to event loops.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

SERVER, CALLERS = {0}, {1}
# Method, microseconds of one call, what its emergencies may take: times unloaded p99, and calls of work beside that.
METHODS = [("inline", 250, 2, 0), ("async", 5000, 2, 0), ("adaptive", 5000, 2, 0), ("pool", 50_000, 1, 1)]
PROBE = 20
FIELDS = "{:<11} {:<34} {:>11} {:>11} {:>11}   {}"


class Server:
    def __init__(self, program, state, arguments, cores=None):
        self.process = subprocess.Popen(
            [program, "serve-overload", "--state", state, *map(str, arguments)], stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores) if cores else None)
        self.port = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Caller:
    """A steady stream of calls; `nice` for a load that is not to get into the way of the probe beside it."""

    def __init__(self, program, state, port, method, lane, rate, seconds, connections=1, cores=None, nice=0, outstanding=2000):
        def prepare():
            if cores:
                os.sched_setaffinity(0, cores)
            os.nice(nice)

        self.process = subprocess.Popen(
            [program, "call-overload", "--state", state, "--port", port, "--method", method, "--lane", lane, "--rate", str(rate),
             "--seconds", str(seconds), "--connections", str(connections), "--outstanding", str(outstanding)],
            stdout=subprocess.PIPE, text=True, preexec_fn=prepare)

    def started(self):
        self.process.stdout.readline()
        return self

    def result(self):
        line = self.process.stdout.readlines()[-1]
        self.process.wait()
        return json.loads(line)


def milliseconds(micros):
    return f"{micros / 1000:.2f} ms"


class Bench:
    def __init__(self, program, state, seconds):
        self.program, self.state, self.seconds = program, state, seconds
        self.broken = []

    def server(self, method, micros, **options):
        return Server(self.program, self.state, ["--method", method, "--micros", micros], **options)

    def caller(self, server, method, lane, rate, seconds=None, cores=CALLERS, **options):
        return Caller(self.program, self.state, server.port, method, lane, rate, seconds or self.seconds, cores=cores, **options)

    def row(self, what, name, unloaded, loaded, allowed, text=""):
        holds = allowed is None or loaded <= allowed
        if not holds:
            self.broken.append(f"{what}: {name}")
        limit = "" if allowed is None else milliseconds(allowed)
        print(FIELDS.format(what, name, milliseconds(unloaded) if unloaded else "", milliseconds(loaded), limit,
                            text + ("" if holds else " NOT REACHED")), flush=True)

    def check(self, what, name, holds, text):
        if not holds:
            self.broken.append(f"{what}: {name}")
        print(FIELDS.format(what, name, "", "", "", text + ("" if holds else " NOT REACHED")), flush=True)

    # What the server can do: the answers that it gives when asked for more.
    def capacity(self, method, micros):
        with self.server(method, micros, cores=SERVER) as server:
            asked = {"inline": 1.1e6 / micros, "async": 25e6 / micros, "adaptive": 16e6 / micros, "pool": 2e6 / micros}[method]
            load = self.caller(server, method, "routine", asked, connections=4, outstanding=200).started().result()
            return load["ok"] / load["seconds"]

    def unloaded(self, method, micros):
        with self.server(method, micros, cores=SERVER) as server:
            return self.caller(server, method, "emergency", PROBE * 5 if method != "pool" else 4, self.seconds * 2).started().result()

    def method(self, method, micros, times, jobs):
        capacity, quiet = self.capacity(method, micros), self.unloaded(method, micros)
        probe_rate = min(PROBE * 5, capacity * 0.1)
        with self.server(method, micros, cores=SERVER) as server:
            load = self.caller(server, method, "routine", capacity * 5, self.seconds * 2 + 2, connections=4, nice=5).started()
            probe = self.caller(server, method, "emergency", probe_rate, self.seconds * 2).started().result()
            routine = load.result()
        p99 = quiet["p99_us"]
        self.row(method, "emergency p99", p99, probe["p99_us"], p99 * times + jobs * micros * 1.1,
                 f"{probe['ok']:.0f} calls, {probe['refused']:.0f} refused, {probe['failed']:.0f} failed")
        self.check(method, "emergencies refused below a fifth", probe["refused"] + probe["failed"] == 0, "none" if probe["refused"] == 0 else "some")
        self.row(method, "routine calls that were let in, max", None, routine["max_us"], 2e6,
                 f"{routine['ok'] / routine['seconds']:.0f}/s of {capacity:.0f}/s; offered {capacity * 5:.0f}/s, {routine['skipped']:.0f} unsent")
        self.row(method, "routine refusals, p99", None, routine["refused_p99_us"], 5e3 if method != "pool" else 5e3,
                 f"p50 {milliseconds(routine['refused_p50_us'])}; {routine['refused']:.0f} refused, {routine['failed']:.0f} failed")
        self.flood(method, micros, capacity)

    # Both lanes ask for more than there is.
    def flood(self, method, micros, capacity):
        with self.server(method, micros, cores=SERVER) as server:
            urgent = self.caller(server, method, "emergency", capacity * 2, self.seconds + 2, connections=2, nice=5).started()
            routine = self.caller(server, method, "routine", capacity * 2, self.seconds, connections=2, nice=5).started().result()
            urgent = urgent.result()
        done = routine["ok"] / routine["seconds"]
        both = done + urgent["ok"] / urgent["seconds"]
        self.check(method, "emergency flood: routine's share", done >= both * 0.45, f"{done / both:.0%} of {both:.0f}/s")

    # Bcrypt-like jobs fill the pool; small calls go on beside them.
    def pool_beside(self, scheduling, rounds):
        flags = [] if scheduling is None else ["--policy", scheduling[0], "--niceness", scheduling[1]]
        quiet, busy, quiet_async, busy_async, hashes = [], [], [], [], []
        with Server(self.program, self.state, ["--method", "pool", "--micros", 100_000, "--threads", 2, *flags]) as sync, \
                Server(self.program, self.state, ["--method", "async", "--micros", 2000, "--threads", 2]) as other:
            def probes():
                inline = self.caller(sync, "inline", "routine", 200, cores=None).started()
                asynchronous = self.caller(other, "async", "routine", 200, cores=None)
                return inline.result()["p99_us"], asynchronous.result()["p99_us"]

            for _ in range(rounds):
                inline, asynchronous = probes()
                quiet.append(inline)
                quiet_async.append(asynchronous)
                load = self.caller(sync, "pool", "routine", 60, self.seconds + 2, cores=None, outstanding=40).started()
                inline, asynchronous = probes()
                busy.append(inline)
                busy_async.append(asynchronous)
                hashes.append(load.result()["ok"] / (self.seconds + 2))
        name = "as it is" if scheduling is None else f"{scheduling[0]} {scheduling[1]}"
        middle = statistics.median
        pairs = [("INLINE, same process", quiet, busy, 3), ("ASYNC, another process", quiet_async, busy_async, 1.2)]
        for title, before, after, times in pairs:
            self.row("pool full", f"{title} ({name}), p99", middle(before), middle(after), middle(before) * times if scheduling is None else None,
                     f"{middle(after) / middle(before):.1f}x; {middle(hashes):.1f} jobs of 100 ms/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=".build-release/release", help="where the programs are")
    parser.add_argument("--certs", help="the `lockstep` that makes certificates; the one beside them when absent")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="one method, or `beside`")
    parser.add_argument("--schedulings", help="compare these for the pool, such as batch:0,normal:5,idle:0")
    options = parser.parse_args()
    programs = pathlib.Path(options.bin)
    with tempfile.TemporaryDirectory() as state:
        subprocess.run([options.certs or programs / "lockstep", "certs", "--state", state], check=True, stdout=subprocess.DEVNULL)
        bench = Bench(programs / "lockstep-echo", state, options.seconds)
        print(FIELDS.format("method", "", "unloaded", "at 5x", "allowed", ""))
        for method, micros, times, jobs in METHODS:
            if options.only in (None, method):
                bench.method(method, micros, times, jobs)
        if options.only in (None, "beside"):
            for item in options.schedulings.split(",") if options.schedulings else [None]:
                bench.pool_beside(item and item.split(":"), options.rounds)
    if bench.broken:
        print("\nNot reached: " + "; ".join(bench.broken))


if __name__ == "__main__":
    main()
