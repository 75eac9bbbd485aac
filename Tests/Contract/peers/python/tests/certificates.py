"""An authority and certificates for tests, made by openssl."""

import subprocess
from pathlib import Path

from net.tls import DOMAIN


def run(folder: Path, *words: str):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def make(folder: Path, *names: str):
    """`ca.pem`, and `NAME.pem` and `NAME.key` for each name."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run(folder, "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=CA")
    for name in names:
        (folder / "extensions").write_text(
            f"subjectAltName=URI:{DOMAIN}{name}\nextendedKeyUsage=serverAuth,clientAuth\n")
        run(folder, "req", *curve, "-keyout", f"{name}.key", "-out", "request", "-subj", f"/CN={name}")
        run(
            folder, "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
            "2", "-extfile", "extensions", "-out", f"{name}.pem")
