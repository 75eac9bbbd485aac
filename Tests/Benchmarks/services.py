#!/usr/bin/env python3
"""The services beside what others reach on the same machine in the same run.

- sign-ins: bare libxcrypt on all cores; FastAPI with bcrypt in `async def`, and in threads; ours, through the gateway. The
  same client, 32 sign-ins at once, and a small request 20 times a second that is counted from when it was due.
- pool: sealing and signing while the hashing pool is full.
- encrypt: Encrypt of 1 KiB, one a call, beside the SYNC echo of the same size; batches of 1,000 beside one core's
  `openssl speed` AES-256-GCM.
- refresh: through the gateway, on SQLite and on PostgreSQL, beside pgbench with the same statements.
- imports: `lockstep import users` beside plain COPY of the same rows.
- answers: what known, unknown, locked and unconfirmed addresses take at login, register and reset.
"""

import argparse
import base64
import contextlib
import gzip
import json
import math
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.request

from processes import CORES, Neighbours, Server, Verdicts, certificates, median, milliseconds, spread

HERE = pathlib.Path(__file__).resolve().parent
# Where `lockstep up` has Encryption listen.
ENCRYPTION = 7104
# Bytes of the plaintexts of a batch: 1,000 of 1 KiB.
BATCH = 1000 * 1024
PASSWORD = "plum-tram-lantern-nine"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(url, authority=None):
    import ssl

    context = ssl.create_default_context(cafile=authority) if authority else None
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} does not answer")


class Bench:
    def __init__(self, options):
        self.bin, self.peers = pathlib.Path(options.bin).resolve(), pathlib.Path(options.peers).resolve()
        self.python, self.rounds, self.seconds, self.samples = options.python, options.rounds, options.seconds, options.samples
        self.verdicts = Verdicts()

    # MARK: Ours

    @contextlib.contextmanager
    def system(self, accounts=(), **settings):
        """The five processes, with accounts, until the block ends. Settings are environment values without their prefix."""
        with tempfile.TemporaryDirectory() as state:
            certificates(self.bin, state)
            environment = os.environ | {"LOCKSTEP_GATEWAY_RATE_LIMITS": "off", "LOCKSTEP_LOG_LEVEL": "warning",
                                        "LOCKSTEP_GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
            environment |= {f"LOCKSTEP_{name}": str(value) for name, value in settings.items()}
            # In this session, as the peers are: Linux shares the cores out between sessions before it does between threads.
            with open(f"{state}/up.log", "w", encoding="utf-8") as log:
                up = subprocess.Popen([self.bin / "lockstep", "up", "--state", state, "--bin", self.bin], env=environment,
                                      stdout=log, stderr=log, process_group=0)
            try:
                wait_for("https://localhost:8443/readyz", f"{state}/ca.pem")
                if accounts:
                    lines = "".join(json.dumps(account) + "\n" for account in accounts)
                    (pathlib.Path(state) / "accounts.jsonl").write_text(lines, encoding="utf-8")
                    subprocess.run([self.bin / "lockstep", "import", "users", f"{state}/accounts.jsonl", "--state", state],
                                   env=environment, check=True, stdout=subprocess.DEVNULL)
                yield state
            except BaseException:
                print(pathlib.Path(f"{state}/up.log").read_text(encoding="utf-8")[-2000:])
                raise
            finally:
                up.send_signal(signal.SIGTERM)
                up.wait()

    def account(self, address, hashed, confirmed=True):
        return {"email": address, "password_hash": hashed, "email_verified": confirmed, "name": "Ada"}

    def hashed(self, rounds):
        script = "import bcrypt, sys; print(bcrypt.hashpw(sys.argv[1].encode(), bcrypt.gensalt(int(sys.argv[2]))).decode())"
        command = [self.python, "-c", script, PASSWORD, str(rounds)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def load(self, command, state=None, url="https://localhost:8443", **arguments):
        values = {"url": url, "ca": f"{state}/ca.pem" if state else "", **arguments}
        words = [self.bin / "lockstep-load", command]
        for name, value in values.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        # What it says of itself on standard error is for whoever reads the figures.
        return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])

    # MARK: Sign-ins

    def floor(self):
        words = [self.peers / "bcrypt-floor", "12", str(self.seconds)]
        return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    def fastapi(self, how, concurrent=32):
        port = free_port()
        process = subprocess.Popen([self.python, HERE / "Peers/fastapi/app.py", str(port)], env=os.environ | {"HASH": how})
        try:
            wait_for(f"http://127.0.0.1:{port}/ping")
            return self.load("logins", url=f"http://127.0.0.1:{port}", path="/login", probe="/ping", seconds=2 * self.seconds,
                             concurrent=concurrent)
        finally:
            process.terminate()
            process.wait()

    def ours(self, hashed, concurrent=32):
        with self.system([self.account(f"user-{n}@example.org", hashed) for n in range(64)]) as state:
            return self.load("logins", state, seconds=2 * self.seconds, concurrent=concurrent)

    def sign_ins(self):
        neighbours, hashed = Neighbours(), self.hashed(12)
        rounds = []
        for _ in range(self.rounds):
            peers = {"direct": self.fastapi("direct"), "threads": self.fastapi("threads")}
            # The machine is not as fast at all times: the floor is taken right before ours and right after it. Workers that have
            # nothing left to do while the last sign-ins end count against those who sign in, less in 30 s than in 15.
            before, ours, after = self.floor(), self.ours(hashed), self.floor()
            rounds.append(peers | {"floor": (before + after) / 2, "ours": ours})
        quiet = self.ours(hashed, concurrent=0)
        print(f"\n32 people sign in without pause, bcrypt with 12 rounds; a small request 20 times a second; {neighbours}")
        floor = [r["floor"] for r in rounds]
        self.verdicts.row("libxcrypt alone, hashes/s", floor)
        for name, text in [("direct", "FastAPI, hash in async def"), ("threads", "FastAPI, hash in threads"), ("ours", "Lockstep")]:
            results = [r[name] for r in rounds]
            if name == "ours":
                shares = [result["rate"] / bare for result, bare in zip(results, floor)]
                self.verdicts.line(f"{text}: sign-ins/s", spread([r["rate"] for r in results]), median(shares) >= 0.95,
                                   "at least 95 % of libxcrypt", f"{median(shares):.0%}; p50 {median([r['login_p50_ms'] for r in results]):,.0f} ms, "
                                   f"{sum(r['refused'] for r in results):.0f} told to come back later")
            else:
                self.verdicts.row(f"{text}: sign-ins/s", [r["rate"] for r in results])
            for share, bound in [("p50", 1), ("p99", 5)]:
                values = [r[f"probe_{share}_ms"] for r in results]
                self.verdicts.row(f"{text}: small request {share}, ms", values, bound if name == "ours" else None,
                                  text=f"failed {sum(r['failed'] for r in results):.0f}" if share == "p99" else "")
        self.verdicts.row("Lockstep, nobody signs in: p50, p99, ms", [quiet["probe_p50_ms"]], text=f"p99 {quiet['probe_p99_ms']:.2f}")

    # MARK: The pool

    def probe(self, state, method, caller, request):
        words = [self.bin / "lockstep", "bench", method, "--cert", caller, "--target", "encryption", "--rate", "200", "--connections", "1",
                 "--duration", f"{self.seconds}s", "--changes", "--json", "--state", state, "--data", json.dumps(request)]
        result = json.loads(subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout)
        if result["failed"]:
            raise SystemExit(f"{method}: {result}")
        return result["latency_us"]["p99"]

    def pool(self):
        """Sealing and signing on the process whose CPU pool hashes passwords without pause."""
        neighbours, hashed, rounds = Neighbours(), self.hashed(12), []
        plaintext = base64.b64encode(bytes(1024)).decode()
        probes = {"Encrypt of 1 KiB": ("EncryptionService/Encrypt", "token", {"key_name": "token-vault", "plaintext": plaintext}),
                  "a JWT signed": ("JWTService/Sign", "auth", {"key_name": "access-token", "subject": "usr_1", "audience": "lockstep"})}
        with self.system([self.account(f"user-{n}@example.org", hashed) for n in range(64)]) as state:
            for _ in range(self.rounds):
                quiet = {name: self.probe(state, *probe) for name, probe in probes.items()}
                words = [self.bin / "lockstep-load", "logins", "--url", "https://localhost:8443", "--ca", f"{state}/ca.pem", "--rate", "1",
                         "--seconds", str(2 * self.seconds + 2)]
                with subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL) as storm:
                    time.sleep(1)
                    busy = {name: self.probe(state, *probe) for name, probe in probes.items()}
                    storm.wait()
                rounds.append((quiet, busy))
        print(f"\nSealing and signing 200 times a second while 32 sign-ins keep the hashing pool full; {neighbours}")
        for name in probes:
            quiet, busy = [r[0][name] for r in rounds], [r[1][name] for r in rounds]
            self.verdicts.row(f"{name}: p99, quiet", quiet, None, milliseconds)
            self.verdicts.row(f"{name}: p99, pool full", busy, 3 * median(quiet), milliseconds, f"{median(busy) / median(quiet):.2f}x")

    # MARK: Encrypt

    def calls(self, peer, state, port, **arguments):
        words = [self.bin / "lockstep-echo", "call", "--state", state, "--peer", peer, "--port", port, "--seconds",
                 max(2, self.seconds / 5)]
        for name, value in arguments.items():
            words += [f"--{name}"] if value is True else [f"--{name}", value]
        output = subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True).stdout
        return json.loads(output.splitlines()[-1])["rate"]

    def openssl(self):
        words = ["openssl", "speed", "-elapsed", "-seconds", "2", "-bytes", "1024", "-mr", "-evp", "aes-256-gcm"]
        output = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        return float(re.search(r"^\+F:.*:([0-9.]+)$", output, re.M).group(1))

    def encrypt(self):
        neighbours, rounds = Neighbours(), []
        with self.system() as state:
            for _ in range(self.rounds):
                with Server([self.bin / "lockstep-echo", "serve", "--state", state, "--peer", "sync"]) as echo:
                    echoed = self.calls("sync", state, echo.port, size=1024)
                # As many bytes as a batch there and back, and nothing done with them: what is left of two cores by TLS at both ends.
                with Server([self.bin / "lockstep-echo", "serve", "--state", state, "--peer", "floor"]) as floor:
                    carried = self.calls("floor", state, floor.port, size=BATCH, connections=2, outstanding=2) * BATCH
                rounds.append({
                    "apart": float(subprocess.run([self.bin / "lockstep-echo", "cores"], check=True, capture_output=True).stdout),
                    "echo": echoed, "carried": carried, "one": self.calls("encrypt", state, ENCRYPTION, size=1024),
                    "batch": self.calls("encrypt-batch", state, ENCRYPTION, size=1024, connections=2, outstanding=2) * BATCH,
                    "decoded": self.calls("encrypt-batch", state, ENCRYPTION, size=1024, connections=2, outstanding=2, decoded=True) * BATCH,
                    "openssl": self.openssl()})
        print(f"\nEncrypt of 1 KiB, over the RPC with mutual TLS; {neighbours}")
        # About 100 where the cores have a cache in common, 400 where the host has put them elsewhere: then all of this is slower.
        self.verdicts.row("a word from core to core and back, ns", [r["apart"] for r in rounds])
        self.verdicts.row("SYNC echo of 1 KiB, calls/s", [r["echo"] for r in rounds])
        ones, shares = [r["one"] for r in rounds], [r["one"] / r["echo"] for r in rounds]
        self.verdicts.line("Encrypt, one a call, calls/s", spread(ones), median(shares) >= 0.6, "at least 60 % of it", f"{median(shares):.0%}")
        self.verdicts.row("openssl speed AES-256-GCM, one core, MB/s", [r["openssl"] / 1e6 for r in rounds])
        shares = [r["carried"] / r["openssl"] for r in rounds]
        self.verdicts.row("a bare echo of a batch's bytes, MB/s", [r["carried"] / 1e6 for r in rounds], text=f"{median(shares):.0%} of it")
        batches, shares = [r["batch"] / 1e6 for r in rounds], [r["batch"] / r["openssl"] for r in rounds]
        self.verdicts.line("Encrypt, 1,000 a call, MB/s", spread(batches), median(shares) >= 0.6, "at least 60 % of it", f"{median(shares):.0%}")
        # The caller takes of the same cores what it encodes and decodes with.
        self.verdicts.row("the same, by a client that encodes and decodes each", [r["decoded"] / 1e6 for r in rounds])

    # MARK: Refresh

    @contextlib.contextmanager
    def postgres(self):
        """A server of its own, and gone with the block: its folder and port."""
        port = free_port()
        server = subprocess.Popen([HERE.parent / "Support/postgres/server.sh", str(port)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        try:
            folder = server.stdout.readline().removeprefix("ready ").strip()
            if not folder:
                raise SystemExit("PostgreSQL does not start: is `postgresql` installed?")
            yield folder, port
        finally:
            server.stdin.close()
            server.wait()

    def pgbench(self, folder, port):
        place = ["-h", folder, "-p", str(port), "-U", "postgres"]
        environment = os.environ | {"PGOPTIONS": "-c search_path=auth"}
        subprocess.run(["psql", *place, "-q", "-v", "ON_ERROR_STOP=1", "-f", HERE / "refresh-setup.sql", "postgres"], env=environment, check=True)
        pgbench = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pgbench"))[-1]
        words = [pgbench, *place, "-n", "-M", "prepared", "-c", "32", "-j", str(len(CORES)), "-T", str(self.seconds), "-D", "n=0",
                 "--max-tries", "100", "-f", HERE / "refresh.pgbench", "postgres"]
        output = subprocess.run(list(map(str, words)), env=environment, check=True, capture_output=True, text=True).stdout
        return float(re.search(r"^tps = ([0-9.]+)", output, re.M).group(1))

    def refresh(self):
        neighbours, hashed = Neighbours(), self.hashed(10)
        accounts, rounds = [self.account(f"user-{n}@example.org", hashed) for n in range(64)], []
        for _ in range(self.rounds):
            with self.system(accounts) as state:
                sqlite = self.load("refreshes", state, seconds=self.seconds)
            with self.postgres() as (folder, port):
                with self.system(accounts, DATABASE_URL=f"postgres://postgres@/postgres?host={folder}&port={port}") as state:
                    postgres = self.load("refreshes", state, seconds=self.seconds)
                rounds.append({"sqlite": sqlite, "postgres": postgres, "pgbench": self.pgbench(folder, port)})
        print(f"\nRefreshes of 32 sessions at once, through the gateway, each with a new access token; {neighbours}")
        pgbench = [r["pgbench"] for r in rounds]
        self.verdicts.row("pgbench with the same statements, 1/s", pgbench)
        for engine in ("postgres", "sqlite"):
            rates = [r[engine]["rate"] for r in rounds]
            shares = [rate / bare for rate, bare in zip(rates, pgbench)]
            ours = median([r["postgres"]["rate"] for r in rounds])
            holds = median(shares) >= 0.5 if engine == "postgres" else median(rates) > ours
            self.verdicts.line(f"Lockstep on {engine}, 1/s", spread(rates), holds, "at least 50 % of it" if engine == "postgres" else "more than that",
                               f"{median(shares):.0%}; p99 {median([r[engine]['p99_ms'] for r in rounds]):.1f} ms, "
                               f"failed {sum(r[engine]['failed'] for r in rounds):.0f}")

    # MARK: Imports

    def imports(self):
        """75,295 lines, of which 5,773 repeat an address, as in the system that Lockstep follows."""
        lines, repeated = 75_295, 5_773
        neighbours, hashed, rounds = Neighbours(), self.hashed(10), []
        numbers = list(range(lines - repeated)) + list(range(repeated))
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            source, rows = f"{folder}/users.jsonl.gz", f"{folder}/rows.csv"
            with gzip.open(source, "wt", compresslevel=1, encoding="utf-8") as file:
                file.writelines(json.dumps(self.account(f"import-{n}@example.org", hashed)) + "\n" for n in numbers)
            with open(rows, "w", encoding="utf-8") as file:
                file.writelines(f"usr_{n:021},copy-{n}@example.org,Ada,user,{hashed},1,1,1,1,psd_{n:021}\n" for n in numbers[:lines - repeated])
            for _ in range(self.rounds):
                with self.postgres() as (place, port):
                    url = f"postgres://postgres@/postgres?host={place}&port={port}"
                    with self.system(DATABASE_URL=url):
                        seconds, report = self.imported(source, f"{url}&schema=auth", folder)
                    rounds.append({"import": lines / seconds, "copy": (lines - repeated) / self.copied(place, port, rows), "report": report})
        print(f"\nlockstep import users, {lines:,} lines, on PostgreSQL; {neighbours}")
        self.verdicts.row("plain COPY of the same rows, 1/s", [r["copy"] for r in rounds])
        rates, shares = [r["import"] for r in rounds], [r["import"] / r["copy"] for r in rounds]
        self.verdicts.line("lockstep import users, lines/s", spread(rates), median(rates) >= 30_000, "at least 30,000/s",
                           f"{median(shares):.0%} of COPY; {rounds[-1]['report']}")

    def imported(self, source, url, state):
        began = time.monotonic()
        words = [self.bin / "lockstep", "import", "users", source, "--to", url, "--state", state]
        output = subprocess.run(words, check=True, capture_output=True, text=True)
        return time.monotonic() - began, " ".join((output.stdout or output.stderr).split()[-24:])

    @staticmethod
    def copied(place, port, rows):
        words = ["psql", "-h", place, "-p", str(port), "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1", "postgres"]
        script = ("CREATE TABLE copied (LIKE auth.users INCLUDING ALL);\n\\timing on\n"
                  "\\copy copied (id, email, name, roles, password_hash, claims, email_verified_at, created_at, updated_at, pseudonym) "
                  f"FROM '{rows}' CSV\n")
        output = subprocess.run(words, input=script, check=True, capture_output=True, text=True).stdout
        return float(re.search(r"Time: ([0-9.]+) ms", output).group(1)) / 1000

    # MARK: Answers

    @staticmethod
    def lock(state):
        """Uses up the strangers' guesses of `locked-N`, which would take hours over HTTP: a pause follows each ten."""
        with contextlib.closing(sqlite3.connect(f"{state}/auth.sqlite", timeout=10)) as database, database:
            database.execute("INSERT INTO guesses (subject, lane, user_id, in_a_row, last_at) "
                             "SELECT id, 'stranger', id, 60, 0 FROM users WHERE email LIKE 'locked-%'")

    def answers(self):
        """With 10 rounds a hash takes a quarter of the time that it takes with 12, so that its hundredth is harder to keep.
        What was imported has two fewer, as what comes from a system of 10 into one of 12."""
        neighbours, hashed, rounds, cheaper = Neighbours(), self.hashed(10), 10, self.hashed(8)
        accounts = [self.account(f"known-{n}@example.org", hashed) for n in range(self.samples)]
        accounts += [self.account(f"imported-{n}@example.org", cheaper) for n in range(self.samples)]
        accounts += [self.account(f"pending-{n}@example.org", hashed, False) for n in range(self.samples)]
        accounts += [self.account(f"locked-{n}@example.org", hashed) for n in range(4)]
        words = [self.peers / "bcrypt-floor", str(rounds), "3"]
        hash_ms = 1000 * len(CORES) / float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        with self.system(accounts, ENCRYPTION_PASSWORD_ROUNDS=rounds) as state:
            self.lock(state)
            waits = self.load("answers", state, samples=self.samples)
        print(f"\n{self.samples:,} answers of each kind; a hash with {rounds} rounds takes {hash_ms:.1f} ms; {neighbours}")
        for route, kinds in waits.items():
            medians = {kind: median(values) for kind, values in kinds.items()}
            apart = max(medians.values()) - min(medians.values())
            likeness = min(kolmogorov_smirnov(kinds["known"], kinds[kind]) for kind in kinds if kind != "known")
            text = ", ".join(f"{kind} {value:.2f}" for kind, value in sorted(medians.items()))
            self.verdicts.line(f"{route}: medians apart, ms", f"{apart:.2f} ({apart / hash_ms:.1%} of a hash)", apart <= hash_ms / 100,
                               "1 % of a hash", f"{text}; least p of Kolmogorov-Smirnov {likeness:.2f}")


def kolmogorov_smirnov(left, right):
    """How likely two samples of one distribution are at least so far apart (the asymptotic formula)."""
    left, right = sorted(left), sorted(right)
    i = j = 0
    apart = 0.0
    while i < len(left) and j < len(right):
        value = min(left[i], right[j])
        while i < len(left) and left[i] <= value:
            i += 1
        while j < len(right) and right[j] <= value:
            j += 1
        apart = max(apart, abs(i / len(left) - j / len(right)))
    size = math.sqrt(len(left) * len(right) / (len(left) + len(right)))
    scaled = (size + 0.12 + 0.11 / size) * apart
    return min(1.0, max(0.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101)))) if scaled > 0.2 else 1.0


def main():
    parts = ["sign_ins", "pool", "encrypt", "refresh", "imports", "answers"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=".build-release/release", help="where the programs are")
    parser.add_argument("--peers", default=".build-peers", help="where what they are compared with is")
    parser.add_argument("--python", default=".build-peers/python/bin/python3", help="the Python that has FastAPI")
    parser.add_argument("--seconds", type=int, default=15, help="of a measurement; sign-ins take twice as long")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=1000, help="of each kind of answer")
    parser.add_argument("--only", choices=parts)
    options = parser.parse_args()
    bench = Bench(options)
    for part in parts:
        if options.only in (None, part):
            getattr(bench, part)()
    bench.verdicts.summary()


if __name__ == "__main__":
    main()
