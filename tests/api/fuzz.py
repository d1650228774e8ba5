"""Fuzzes the API's document against a running server: see --help.

    python3 -m venv VENV && VENV/bin/pip install --requirement tests/api/requirements.txt
    VENV/bin/python tests/api/fuzz.py --server URL --ca FILE --login LOGIN --password WORD

The login is a candidate's who is admitted to an exam that is open.
"""

import argparse
import hashlib
import os
import secrets
import subprocess
import sys
from pathlib import Path

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def main():
    words = argparse.ArgumentParser(description="Fuzz the API's document.")
    for name in ["server", "ca", "login", "password"]:
        words.add_argument(f"--{name}", required=True)
    words.add_argument("--examples", default="100", help="requests an operation")
    words.add_argument("--seed", default="1")
    wish = words.parse_args()
    here = Path(__file__).resolve().parent
    # The same machine each time, since an attempt belongs to one.
    machine = hashlib.sha512(f"{wish.login} {wish.password}".encode()).digest()
    key = Ed25519PrivateKey.from_private_bytes(machine[:32])
    boot = machine[32:48]
    private = key.private_bytes_raw().hex()
    hello = requests.get(f"{wish.server}/api/v1/hello", verify=wish.ca, timeout=30).json()
    environment = dict(
        os.environ,
        QORGAN_INSTITUTION=hello["institution"],
        QORGAN_DEVICE_KEY=private,
        QORGAN_TOKEN="",
        QORGAN_ATTEMPT="",
        REQUESTS_CA_BUNDLE=wish.ca,
    )
    os.environ.update(environment)
    sys.path.insert(0, str(here))
    import hooks

    nonce = requests.post(f"{wish.server}/api/v1/challenge", verify=wish.ca, timeout=30).json()
    public = key.public_key().public_bytes_raw()
    body = bytes.fromhex(nonce["nonce"]) + public + boot + secrets.token_bytes(16)
    data, signature = hooks.signed(key, hooks.INSTITUTION, hooks.DEVICE_PROOF, body)
    reply = requests.post(
        f"{wish.server}/api/v1/sign-in",
        json={
            "login": wish.login,
            "password": wish.password,
            "device_key": public.hex(),
            "proof": {"bytes": data.hex(), "signature": signature.hex()},
            "client_version": "0.1.0",
            "system": "linux",
        },
        verify=wish.ca,
        timeout=60,
    )
    reply.raise_for_status()
    hooks.TOKEN = environment["QORGAN_TOKEN"] = reply.json()["token"]
    cards = requests.get(
        f"{wish.server}/api/v1/my/exams", auth=hooks.Proof(), verify=wish.ca, timeout=30
    )
    cards.raise_for_status()
    environment["QORGAN_ATTEMPT"] = attempt = cards.json()[0]["attempt"]
    checked = requests.post(
        f"{wish.server}/api/v1/attempts/{attempt}/check-in",
        json={"client_key": "11" * 32, "language": "kk"},
        auth=hooks.Proof(),
        verify=wish.ca,
        timeout=30,
    )
    checked.raise_for_status()
    environment["SCHEMATHESIS_HOOKS"] = "hooks"
    environment["PYTHONPATH"] = str(here)
    schemathesis = Path(sys.executable).parent / "schemathesis"
    line = [
        schemathesis,
        "run",
        f"{wish.server}/openapi.json",
        "--tls-verify",
        wish.ca,
        "--checks",
        CHECKS,
        "--max-examples",
        wish.examples,
        "--seed",
        wish.seed,
        "--phases",
        "examples,coverage,fuzzing",
        "--workers",
        "1",
        "--request-timeout",
        "30",
        "--no-color",
    ]
    sys.exit(subprocess.run(line, env=environment, check=False).returncode)


# What the document promises; which refusals there are it leaves open.
CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance"

if __name__ == "__main__":
    main()
