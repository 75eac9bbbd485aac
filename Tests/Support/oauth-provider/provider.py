#!/usr/bin/env python3
"""Runs Canaille (PyPI `canaille`), an OAuth 2.0 server: PKCE enforced, refresh tokens rotated, RFC 7009 revocation,
RFC 9207 issuer in the callback. Its data is an SQLite file in DIR, made anew at each start.

    python3 provider.py start --port 0 --dir DIR

stays in the foreground and ends with its parent. Once the port listens it prints one line of JSON:
issuer, authorization_endpoint, token_endpoint, revocation_endpoint, introspection_endpoint, client_id, client_secret.
DIR/providers.json (or --providers PATH) is then ready for the token service's `token.providers`.

Nothing is installed here: requirements.txt beside this file names what must be.
"""
import argparse
import asyncio
import json
import logging
import os
import pathlib
import secrets
import signal
import socket
import sys
import threading

# The person who consents in consent.py. No secret: the server holds nothing of anybody's.
USER = "ada"
PASSWORD = "the walk's own passphrase"
SCOPES = ["profile", "email"]


def end_with_parent():
    """Polls, since a death signal would follow the thread that started us and not the process."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            threading.Event().wait(0.5)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def make_app(issuer, lifetime, database):
    """Canaille on a fresh database."""
    from canaille import create_app
    from canaille.backends import Backend

    for leftover in database.parent.glob(database.name + "*"):
        leftover.unlink()
    app = create_app(config={
        "SECRET_KEY": secrets.token_urlsafe(32),
        "SERVER_NAME": issuer.removeprefix("http://"),
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {
            "JAVASCRIPT": False,
            "SMTP": None,
            "LOGGING": {
                "version": 1,
                "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}},
                "root": {"level": "ERROR", "handlers": ["stderr"]},
            },
        },
        "CANAILLE_OIDC": {"REQUIRE_NONCE": False, "TRUSTED_DOMAINS": []},
        "CANAILLE_SQL": {"DATABASE_URI": f"sqlite:///{database}", "AUTO_MIGRATE": False},
    })
    with app.app_context():
        Backend.instance.install(app)
    use_opaque_tokens(app, lifetime)
    return app


def use_opaque_tokens(app, lifetime):
    """Authlib's random access tokens. Canaille's own default, a JWT in whole seconds, is the same token for two
    exchanges within one second."""
    from canaille.oidc.provider import authorization

    app.config["OAUTH2_ACCESS_TOKEN_GENERATOR"] = True
    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {"authorization_code": lifetime, "refresh_token": lifetime}
    authorization.register_token_generator("default", authorization.create_bearer_token_generator(app.config))


def populate(app, client_id, client_secret, redirect_uris):
    from canaille.app import models
    from canaille.backends import Backend

    with app.app_context():
        user = models.User(user_name=USER, password=PASSWORD, formatted_name="Ada Lovelace",
                           family_name="Lovelace", emails=["ada@example.com"])
        Backend.instance.save(user)
        client = models.Client(
            client_id=client_id, client_secret=client_secret, client_name="Lockstep",
            redirect_uris=redirect_uris, scope=SCOPES, response_types=["code"],
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="client_secret_basic")
        Backend.instance.save(client)
        client.audience = [client]
        Backend.instance.save(client)


def write_private(path, text):
    """Writes a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    os.replace(partial, path)


def describe(issuer, client_id, client_secret):
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + "/oauth/authorize",
        "token_endpoint": issuer + "/oauth/token",
        "revocation_endpoint": issuer + "/oauth/revoke",
        "introspection_endpoint": issuer + "/oauth/introspect",
        "client_id": client_id,
        "client_secret": client_secret,
    }


def providers_json(description, redirect_uri):
    """The token service's configuration: one provider."""
    entry = {key: value for key, value in description.items() if key != "introspection_endpoint"}
    entry |= {
        "provider": "canaille", "name": "Canaille (walk)", "scopes": SCOPES,
        "token_auth_method": "basic", "redirect_uri": redirect_uri,
    }
    return json.dumps([entry], indent=2) + "\n"


async def serve(app, listener, announce):
    """Serves until SIGTERM or SIGINT. One request at a time."""
    from asgiref.wsgi import WsgiToAsgi
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.errorlog = logging.getLogger("provider")
    config.graceful_timeout = 0.2
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    announce()
    await hypercorn_serve(WsgiToAsgi(app), config, shutdown_trigger=ended.wait)


def start(arguments):
    end_with_parent()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", arguments.port))
    listener.listen(128)
    listener.set_inheritable(True)
    issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
    client_id, client_secret = "lockstep-" + secrets.token_hex(4), secrets.token_urlsafe(32)

    directory = pathlib.Path(arguments.dir).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    app = make_app(issuer, arguments.access_token_lifetime, directory / "canaille.sqlite")
    populate(app, client_id, client_secret, [arguments.redirect_uri])
    description = describe(issuer, client_id, client_secret)
    providers = pathlib.Path(arguments.providers or directory / "providers.json")

    def announce():
        write_private(providers, providers_json(description, arguments.redirect_uri))
        print(json.dumps(description), flush=True)

    asyncio.run(serve(app, listener, announce))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("start", help="serve in the foreground until SIGTERM or the parent's end")
    command.add_argument("--port", type=int, default=0, help="0: any free one")
    command.add_argument("--dir", required=True, help="for its database and providers.json")
    command.add_argument("--providers", help="path of providers.json; DIR/providers.json when absent")
    command.add_argument("--redirect-uri", default="https://127.0.0.1:8443/v1/connections/callback")
    command.add_argument("--access-token-lifetime", type=int, default=3600, help="seconds")
    command.set_defaults(run=start)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except ModuleNotFoundError as error:
        requirements = pathlib.Path(__file__).with_name("requirements.txt")
        print(f"provider: {error}. Install it: {sys.executable} -m pip install -r {requirements}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
