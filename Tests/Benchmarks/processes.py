"""What the benchmarks of the RPC share: servers and clients as processes, their CPU and memory, and how figures are printed."""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
median = statistics.median


def cpu(pid):
    """Microseconds of CPU that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS * 1e6


def memory(pid, field="VmRSS"):
    """MiB that a process has; with `VmHWM` the most that it has had."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


class Neighbours:
    """How much of the machine others have had since: what spoils figures."""

    def __init__(self):
        self.before, self.own = self.busy(), self.children()
        self.since = time.monotonic()

    def __str__(self):
        others = (self.busy() - self.before) - (self.children() - self.own)
        return f"others had {max(others, 0) / (time.monotonic() - self.since):.2f} of {len(CORES)} cores meanwhile"

    @staticmethod
    def busy():
        """Seconds that all cores have been busy."""
        user, nice, system, _, _, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
        return (user + nice + system + irq + softirq + steal) / TICKS

    @staticmethod
    def children():
        """Seconds that this process and its children, as far as they have ended, have used."""
        return sum(os.times()[:4])


def allow_many_files():
    """Descriptors up to the hard limit, for this process and those that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def can_be_urgent():
    """Whether this process may give others real-time priority."""
    child = subprocess.run(["chrt", "-f", "1", "true"], stderr=subprocess.DEVNULL, check=False) if has("chrt") else None
    return child is not None and child.returncode == 0


def has(program):
    return any((pathlib.Path(folder) / program).exists() for folder in os.environ.get("PATH", "").split(":"))


def start(command, cores=None, nice=0, urgency=0, **options):
    """A process with a place among the others: on some cores only, nicer than they are, or ahead of all that is less urgent."""

    def prepare():
        if cores:
            os.sched_setaffinity(0, cores)
        if nice:
            os.nice(nice)
        if urgency:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(urgency))

    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True, preexec_fn=prepare, **options)


class Server:
    """A process that prints its port and serves until it is killed."""

    def __init__(self, command, **place):
        self.process = start(command, **place)
        self.port = self.process.stdout.readline().strip()
        if not self.port:
            raise SystemExit(f"{command[0]} does not serve")

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Client:
    """A process that prints `start` when it measures, and a line of JSON at the end."""

    def __init__(self, command, **place):
        self.command = command
        self.process = start(command, **place)

    def started(self):
        if self.process.stdout.readline().strip() != "start":
            raise SystemExit(f"{' '.join(map(str, self.command[:2]))} did not start")
        return self

    def result(self):
        lines = self.process.stdout.readlines()
        self.process.wait()
        if not lines:
            raise SystemExit(f"{' '.join(map(str, self.command[:2]))} said nothing")
        return json.loads(lines[-1])


def certificates(programs, state):
    """`lockstep certs` into `state`."""
    subprocess.run([programs / "lockstep", "certs", "--state", state], check=True, stdout=subprocess.DEVNULL)


def milliseconds(micros):
    return f"{micros / 1000:,.2f} ms"


def plain(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def spread(values, form=plain):
    """`median [least - most]`"""
    return f"{form(median(values))} [{form(min(values))} - {form(max(values))}]"


class Verdicts:
    """Prints figures with their bounds, and remembers which were missed."""

    def __init__(self):
        self.missed = []

    def row(self, name, values, bound=None, form=plain, text=""):
        """`values` of the rounds, whose median is to be at most `bound`."""
        self.line(name, spread(values, form) if len(values) > 1 else form(values[0]), bound is None or median(values) <= bound,
                  f"at most {form(bound)}" if bound is not None else "", text)

    def line(self, name, figure, holds, bound="", text=""):
        verdict = "" if not bound else "ok" if holds else "MISSED"
        if not holds:
            self.missed.append(name)
        print(f"  {name:<52} {figure:<34} {bound:<22} {verdict:<6} {text}".rstrip(), flush=True)

    def summary(self):
        print("\nMissed: " + "; ".join(self.missed) if self.missed else "\nAll bounds hold.")
