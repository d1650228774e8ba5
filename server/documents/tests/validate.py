"""Validates the seals of PDF files with pyHanko and prints one JSON line for each file.

usage: validate.py ROOT.der FILE.pdf...
"""

import json
import sys

from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext


def seal_of(embedded, root):
    context = ValidationContext(trust_roots=[root], allow_fetching=False)
    status = validate_pdf_signature(embedded, context)
    attributes = [a["type"].native for a in embedded.signer_info["signed_attrs"]]
    return {
        "sub_filter": str(embedded.sig_object["/SubFilter"]),
        "intact": status.intact,
        "valid": status.valid,
        "trusted": status.trusted,
        "bottom_line": status.bottom_line,
        "coverage": status.coverage.name,
        "docmdp_ok": status.docmdp_ok,
        "attributes": sorted(attributes),
        "signing_time": str(embedded.sig_object["/M"]),
    }


def report(path, root):
    try:
        with open(path, "rb") as file:
            reader = PdfFileReader(file)
            return {"seals": [seal_of(s, root) for s in reader.embedded_signatures]}
    except Exception as error:  # a broken file may break anything; it must not pass
        return {"error": f"{type(error).__name__}: {error}", "seals": []}


def main():
    with open(sys.argv[1], "rb") as file:
        root = x509.Certificate.load(file.read())
    for path in sys.argv[2:]:
        print(json.dumps(report(path, root)))


main()
