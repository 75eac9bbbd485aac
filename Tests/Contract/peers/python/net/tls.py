"""Who may speak to whom (W-00)."""

import ssl
from dataclasses import dataclass

ALPN = "lockstep/1"
DOMAIN = "spiffe://lockstep.local/service/"


@dataclass(frozen=True)
class Credentials:
    """PEM files."""

    certificate: str
    key: str
    authority: str

    def believed(self) -> set:
        """The authorities in the file."""
        with open(self.authority, encoding="ascii") as file:
            blocks = file.read().split("-----END CERTIFICATE-----")
        return {block.strip() for block in blocks if block.strip()}

    def server(self) -> ssl.SSLContext:
        return self.context(ssl.PROTOCOL_TLS_SERVER)

    def client(self) -> ssl.SSLContext:
        return self.context(ssl.PROTOCOL_TLS_CLIENT)

    def context(self, role) -> ssl.SSLContext:
        context = ssl.SSLContext(role)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # Names of hosts mean nothing: the identity is looked at when the handshake is over.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.authority)
        context.set_alpn_protocols([ALPN])
        return context


class NotAPeer(Exception):
    """The other end is nobody that this one talks to."""


def peer_name(tls: ssl.SSLObject) -> str:
    """The service that the other end's certificate is of."""
    if tls.selected_alpn_protocol() != ALPN:
        raise NotAPeer("no lockstep/1 in ALPN")
    names = (tls.getpeercert() or {}).get("subjectAltName", ())
    uris = [value for kind, value in names if kind == "URI"]
    if len(uris) != 1 or not uris[0].startswith(DOMAIN) or len(uris[0]) == len(DOMAIN):
        raise NotAPeer("no identity in the certificate")
    return uris[0][len(DOMAIN):]
