#!/usr/bin/env python3
"""Walks through a running system as a person would: register, confirm, sign in, refresh, link a provider, read its
token, sign out. Each step is printed; the first that fails ends the walk with exit code 1.

Only the standard library is used. The person's mail is read from the file sink's folder.
"""
import argparse
import email
import email.policy
import http.client
import json
import os
import pathlib
import secrets
import ssl
import subprocess
import sys
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
CONSENT = HERE.parent / "Support" / "oauth-provider" / "consent.py"
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
# So often a request waits for a rate limit before that is a failure.
LIMIT_WAITS = 5


class Failed(Exception):
    """A step did not go as it should; the text says which and what came instead."""


class Walk:
    def __init__(self, url, state, provider, starting=False):
        self.base = urllib.parse.urlsplit(url)
        self.state = pathlib.Path(state)
        self.provider = provider
        # Whether somebody is starting the system now: then it is waited for, though nobody listens yet.
        self.starting = starting
        authority = self.state / "ca.pem"
        if not authority.exists():
            raise Failed(f"There is no {authority}: start the system with `make run`, or name its state: `make demo STATE=folder`, or --state.")
        self.context = ssl.create_default_context(cafile=str(authority))
        self.address = f"ada-{secrets.token_hex(4)}@example.com"
        self.password = f"correct horse {secrets.token_hex(6)}"
        self.steps = 0
        # What this person's browser keeps.
        self.cookies = {}

    def request(self, verb, path, body=None, token=None, cookies=True):
        """One request, from this person's browser or, without cookies, from another; answers (status, JSON or None).
        A limit that others have used up is waited for."""
        for _ in range(LIMIT_WAITS):
            status, answer, pause = self.request_once(verb, path, body, token, cookies)
            if status != 429:
                break
            print(f"   {verb} {path}: too many requests from here; waiting {pause} s", flush=True)
            time.sleep(pause)
        return status, answer

    def request_once(self, verb, path, body, token, cookies):
        connection = http.client.HTTPSConnection(
            self.base.hostname, self.base.port, context=self.context, timeout=30)
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if cookies and self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        data = None
        if body is not None:
            data = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            connection.request(verb, path, data, headers)
            response = connection.getresponse()
            text = response.read()
            for cookie in response.headers.get_all("Set-Cookie", []) if cookies else []:
                name, value = cookie.split(";")[0].split("=", 1)
                self.cookies[name] = value
        finally:
            connection.close()
        pause = min(int(response.headers.get("Retry-After", "1")), 60)
        return response.status, json.loads(text) if text else None, pause

    def step(self, title, verb, path, expected, body=None, token=None, show=None, cookies=True):
        """One request that must answer `expected`; prints a line and answers the JSON."""
        started = time.monotonic()
        status, answer = self.request(verb, path, body, token, cookies)
        took = (time.monotonic() - started) * 1000
        self.steps += 1
        shown = f"{verb} {path.split('?')[0]}"
        if status != expected:
            detail = (answer or {}).get("detail") if isinstance(answer, dict) else answer
            raise Failed(f"{title}: {shown} answered {status} instead of {expected}: {detail}")
        mark = "\033[32m✓\033[0m" if COLOUR else "ok"
        note = f"  {show(answer)}" if show else ""
        print(f"{mark} {self.steps:2} {title:<34} {shown:<48} {status} {took:6.0f} ms{note}", flush=True)
        return answer

    def mail(self, contains, timeout=20):
        """The token in the newest message to this walk's address whose subject holds `contains`."""
        end = time.monotonic() + timeout
        outbox = self.state / "outbox"
        while time.monotonic() < end:
            found = []
            for path in outbox.glob("*.eml"):
                message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                if self.address in str(message["To"]) and contains in str(message["Subject"]).lower():
                    found.append((path.stat().st_mtime_ns, message))
            if found:
                text = max(found, key=lambda pair: pair[0])[1].get_body(("plain",)).get_content()
                for line in text.splitlines():
                    if line.startswith("Token:"):
                        return line.split(":", 1)[1].strip()
                raise Failed(f"The message about {contains!r} holds no line that starts with Token:")
            time.sleep(0.05)
        raise Failed(f"No message about {contains!r} in {outbox} within {timeout} s.")

    def wait_until_ready(self, timeout=60):
        end = time.monotonic() + timeout
        last = "no answer"
        while time.monotonic() < end:
            try:
                status, answer = self.request("GET", "/readyz")
                if status == 200:
                    return
                last = f"{status} {answer}"
            except ConnectionRefusedError as error:
                if not self.starting:
                    raise Failed(f"Nothing listens at {self.base.geturl()}. Start it with `make run`, in another shell.")
                last = str(error)
            except OSError as error:
                last = str(error)
            time.sleep(0.2)
        raise Failed(f"{self.base.geturl()} is not ready after {timeout} s: {last}. Start it with `make run`.")

    def sign_up(self):
        self.step("register", "POST", "/v1/users", 202,
                  {"email": self.address, "password": self.password, "name": "Ada"})
        token = self.mail("confirm")
        self.step("confirm the address", "POST", "/v1/email-verifications", 200, {"token": token})

    def sign_in(self):
        return self.step("sign in", "POST", "/v1/sessions", 201,
                         {"email": self.address, "password": self.password},
                         show=lambda a: f"session {a['session_id'][:12]}…, {a['expires_in']} s")

    def link(self, token):
        """Links the provider and answers the connection's id."""
        providers = self.step("list providers", "GET", "/v1/providers", 200, token=token,
                              show=lambda a: ", ".join(p["provider"] for p in a["providers"]) or "none")["providers"]
        names = [p["provider"] for p in providers]
        if not names:
            raise Failed("No provider is configured: `make run` starts one and writes .lockstep/providers.json.")
        name = self.provider or names[0]
        started = self.step("start a link", "POST", "/v1/connections", 201, {"provider": name}, token)
        consent = subprocess.run([sys.executable, str(CONSENT), started["authorization_url"]],
                                 capture_output=True, text=True, timeout=60)
        if consent.returncode != 0:
            raise Failed(f"The provider's consent failed: {consent.stderr.strip()}")
        callback = urllib.parse.urlsplit(consent.stdout.strip())
        self.step("come back in another browser", "GET", f"{callback.path}?{callback.query}", 400,
                  show=lambda a: a["code"], cookies=False)
        self.step("come back from the provider", "GET", f"{callback.path}?{callback.query}", 200,
                  show=lambda a: a["state"])
        return started["connection_id"]

    def run(self):
        self.wait_until_ready()
        print(f"\nWalking through {self.base.geturl()} as {self.address}\n", flush=True)
        self.sign_up()
        session = self.sign_in()
        self.step("who am I", "GET", "/v1/users/me", 200, token=session["access_token"])
        session = self.step("refresh", "POST", "/v1/tokens", 201, {"refresh_token": session["refresh_token"]})
        token = session["access_token"]
        connection = self.link(token)
        self.step("read the provider's token", "GET", f"/v1/connections/{connection}/access-token", 200, token=token,
                  show=lambda a: f"{a['token_type']}, {len(a['access_token'])} characters")
        self.step("unlink the provider", "DELETE", f"/v1/connections/{connection}", 204, token=token)
        self.step("list sessions", "GET", "/v1/sessions", 200, token=token,
                  show=lambda a: f"{len(a['sessions'])} live")
        self.step("sign out", "DELETE", "/v1/sessions/current", 204, token=token)
        self.refused(token)
        print(f"\nAll {self.steps} steps went as they should.\n", flush=True)

    def refused(self, token, within=1.0):
        """The signed-out session's access token is refused within a second, though it has 15 minutes to live."""
        started = time.monotonic()
        while True:
            status, _ = self.request("GET", "/v1/users/me", token=token)
            took = time.monotonic() - started
            if status == 401:
                self.steps += 1
                mark = "\033[32m✓\033[0m" if COLOUR else "ok"
                print(f"{mark} {self.steps:2} {'the old token is refused':<34} {'GET /v1/users/me':<48} 401 "
                      f"{took * 1000:6.0f} ms", flush=True)
                return
            if took > within:
                raise Failed(f"The signed-out session's token still answers {status} after {took:.1f} s.")
            time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="https://127.0.0.1:8443")
    parser.add_argument("--state", default=".lockstep", help="folder with ca.pem and outbox/")
    parser.add_argument("--provider", help="provider to link; the first one listed when absent")
    parser.add_argument("--address", help="address to register; a fresh one when absent")
    parser.add_argument("--password", help="read from WALK_PASSWORD; a fresh one when absent",
                        default=os.environ.get("WALK_PASSWORD"))
    parser.add_argument("--starting", action="store_true", help="wait for a system that is being started")
    arguments = parser.parse_args()
    try:
        walk = Walk(arguments.url, arguments.state, arguments.provider, arguments.starting)
        walk.address = arguments.address or walk.address
        walk.password = arguments.password or walk.password
        walk.run()
    except (Failed, OSError, KeyError) as error:
        print(f"walk: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
