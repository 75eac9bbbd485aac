#!/usr/bin/env python3
"""What users of either lane wait for while others ask for five times what a service can do, each against its unloaded figure.

Server, load and probe are processes of their own. The server has one core to itself, with one event loop and one CPU worker,
and the callers share the other: what is measured is the server's order of work, not who gets a core. The probe comes ahead of
the load on the callers' core (SCHED_FIFO where that is allowed, else the load is nice), and the same probe gives the unloaded
figure. Times count from when a call was sent; how late the probe's calls were sent is told beside them. Capacity is what the
server answers when the same load asks for more, found just before. Nobody tries a refused call again.
"""

import argparse
import math
import pathlib
import tempfile

from processes import CORES, Client, Neighbours, Server, Verdicts, can_be_urgent, certificates, median, milliseconds

SERVER, CALLERS = {CORES[0]}, {CORES[-1]}
# Method, microseconds of one call, times its unloaded p99 that an emergency may take, and calls that may run beside it.
METHODS = [("inline", 250, 2, 0), ("async", 5000, 2, 0), ("adaptive", 5000, 2, 0), ("pool", 20_000, 1, 1)]
TIMES = 5
# Emergencies at a tenth of what the service can do: half of what is theirs alone.
PROBE_SHARE, MOST_PROBES = 0.1, 200
# A load that only asks for more than there is, to see how much that is.
PLENTY = {"inline": 2.0, "async": 40.0, "adaptive": 16.0, "pool": 2.0}


class Bench:
    def __init__(self, program, state, options):
        self.program, self.state, self.seconds, self.rounds = program, state, options.seconds, options.rounds
        self.verdicts = Verdicts()
        self.is_urgent = can_be_urgent()
        self.ahead = 1 if options.ahead and self.is_urgent else 0

    def server(self, method, micros):
        return Server([self.program, "serve-overload", "--state", self.state, "--method", method, "--micros", micros],
                      cores=SERVER, urgency=self.ahead)

    def caller(self, server, method, lane, rate, seconds, connections=1, outstanding=2000, **place):
        command = [
            self.program, "call-overload", "--state", self.state, "--port", server.port, "--method", method, "--lane", lane,
            "--rate", rate, "--seconds", seconds, "--connections", connections, "--outstanding", outstanding]
        return Client(command, cores=CALLERS, **place)

    def load(self, *arguments, **options):
        return self.caller(*arguments, connections=4, nice=5, urgency=self.ahead, **options)

    def probe(self, server, method, rate):
        return self.caller(server, method, "emergency", rate, self.seconds, urgency=2 if self.is_urgent else 0).started().result()

    def capacity(self, method, micros):
        with self.server(method, micros) as server:
            load = self.load(server, method, "routine", PLENTY[method] * 1e6 / micros, 2, outstanding=100).started().result()
            return load["done"] / load["seconds"]

    def method(self, method, micros, times, jobs):
        neighbours = Neighbours()
        rounds = [self.round(method, micros) for _ in range(self.rounds)]
        capacity = median([r["capacity"] for r in rounds])
        quiet, probes, loads = ([r[key] for r in rounds] for key in ("quiet", "probe", "load"))
        print(f"\n{method}, {micros / 1000:g} ms a call: {capacity:,.0f}/s at most, routine load of {capacity * TIMES:,.0f}/s; {neighbours}")
        p99 = median([q["p99_us"] for q in quiet])
        row, line = self.verdicts.row, self.verdicts.line
        name = f"{method}: emergency p99"
        row(f"{name}, unloaded", [q["p99_us"] for q in quiet], None, milliseconds, self.lateness(quiet))
        row(name, [p["p99_us"] for p in probes], p99 * times + jobs * micros, milliseconds,
            f"{median([p['p99_us'] for p in probes]) / p99:.2f}x; p50 {milliseconds(median([p['p50_us'] for p in probes]))}, "
            f"p90 {milliseconds(median([p['p90_us'] for p in probes]))}; "
            + self.lateness(probes))
        turned_away = sum(p["refused"] + p["failed"] for p in probes)
        line(f"{method}: emergencies not answered", f"{turned_away:.0f} of {sum(p['ok'] for p in probes) + turned_away:.0f}",
             turned_away == 0, "none")
        row(f"{method}: routine calls let in, longest", [r["max_us"] for r in loads], 2e6, milliseconds,
            f"{median([r['done'] / r['seconds'] for r in loads]):,.0f}/s")
        row(f"{method}: routine refusals, p99", [r["refused_p99_us"] for r in loads], 5e3, milliseconds,
            f"p50 {milliseconds(median([r['refused_p50_us'] for r in loads]))}; {median([r['refused'] / r['seconds'] for r in loads]):,.0f}/s, "
            f"{sum(r['failed'] for r in loads):.0f} failed, {sum(r['skipped'] for r in loads):.0f} not sent")
        shares = [r["share"] for r in rounds]
        line(f"{method}: routine's share in a flood of emergencies", f"{median(shares):.0%}", median(shares) >= 0.495, "at least 50 %",
             f"of {median([r['both'] for r in rounds]):,.0f}/s")

    def round(self, method, micros):
        capacity = self.capacity(method, micros)
        rate = min(capacity * PROBE_SHARE, MOST_PROBES)
        with self.server(method, micros) as server:
            quiet = self.probe(server, method, rate)
        with self.server(method, micros) as server:
            load = self.load(server, method, "routine", capacity * TIMES, math.ceil(self.seconds) + 2).started()
            probe = self.probe(server, method, rate)
            load = load.result()
        return {"capacity": capacity, "quiet": quiet, "probe": probe, "load": load, **self.flood(method, micros, capacity)}

    # Both lanes ask for more than there is.
    def flood(self, method, micros, capacity):
        with self.server(method, micros) as server:
            # Side by side: what one does while the other is not there would count for it.
            urgent, routine = (self.load(server, method, lane, capacity * TIMES, self.seconds) for lane in ("emergency", "routine"))
            urgent, routine = (load.started() for load in (urgent, routine))
            urgent, routine = (load.result() for load in (urgent, routine))
        done = routine["done"] / routine["seconds"]
        both = done + urgent["done"] / urgent["seconds"]
        return {"share": done / both, "both": both}

    @staticmethod
    def lateness(results):
        return f"sent late by {milliseconds(median([r['late_p99_us'] for r in results]))} (p99)"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=".build-release/release", help="where the programs are")
    parser.add_argument("--seconds", type=float, default=6, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", help="one method")
    parser.add_argument("--ahead", action="store_true", help="all of it ahead of the rest of the machine, where others are busy")
    options = parser.parse_args()
    programs = pathlib.Path(options.bin)
    with tempfile.TemporaryDirectory() as state:
        certificates(programs, state)
        bench = Bench(programs / "lockstep-echo", state, options)
        urgency = "ahead of it (SCHED_FIFO)" if bench.is_urgent else "beside it; the load is nice"
        print(f"Overload: server on core {CORES[0]}, load on core {CORES[-1]}, probe on the same, {urgency}. "
              f"Medians of {options.rounds} rounds of {options.seconds:g} s.")
        for method, micros, times, jobs in METHODS:
            if options.only in (None, method):
                bench.method(method, micros, times, jobs)
        bench.verdicts.summary()


if __name__ == "__main__":
    main()
