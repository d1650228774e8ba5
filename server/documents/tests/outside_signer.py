"""Plays an outside signer: signs bytes with pyHanko's own CMS code, knowing nothing of the PDF.

usage: outside_signer.py KEY.der CERTIFICATE.der ROOT.der BYTES OUT.der
"""

import asyncio
import sys

from asn1crypto import keys, x509
from pyhanko.sign.signers import SimpleSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore


def load(path):
    with open(path, "rb") as file:
        return file.read()


async def main():
    key, certificate, root, data, out = sys.argv[1:]
    certificate = x509.Certificate.load(load(certificate))
    root = x509.Certificate.load(load(root))
    signer = SimpleSigner(
        signing_cert=certificate,
        signing_key=keys.PrivateKeyInfo.load(load(key)),
        cert_registry=SimpleCertificateStore.from_certs([root]),
    )
    signed = await signer.async_sign_general_data(
        load(data), "sha256", detached=True, use_cades=True
    )
    with open(out, "wb") as file:
        file.write(signed.dump())


asyncio.run(main())
