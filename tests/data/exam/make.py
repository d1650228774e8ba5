"""Writes the exam packages `kk/` and `ru/`: QTI 3 items, test, manifest and PNG pictures.

    python3 make.py [CHROMIUM]

Chromium draws the pictures; everything it draws is in pictures.py.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

sys.dont_write_bytecode = True
from pictures import PICTURES  # noqa: E402
from questions import ITEMS, TITLE  # noqa: E402

HERE = Path(__file__).parent
QTI = "http://www.imsglobal.org/xsd/imsqtiasi_v3p0"
PACKAGE = "http://www.imsglobal.org/xsd/qti/qtiv3p0/imscp_v1p1"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
MATCH = "https://purl.imsglobal.org/spec/qti/v3p0/rptemplates/match_correct.xml"


def item(number, language):
    picture, right, kk, ru = ITEMS[number - 1]
    body, prompt, choices, alt = kk if language == "kk" else ru
    code = f"phys-{number:02}"
    values = "".join(f"\n      <qti-value>{letter}</qti-value>" for letter in right)
    shown = f"    <p>{escape(body)}</p>\n" if body else ""
    if picture:
        shown += f'    <p><img src="pictures/{picture}.png" alt={quoteattr(alt)}/></p>\n'
    offered = "".join(f'\n      <qti-simple-choice identifier="{letter}">{escape(choice)}</qti-simple-choice>'
                      for letter, choice in zip("ABCDEFGH", choices))
    several = len(right) > 1
    return code, picture, HEAD + f"""<qti-assessment-item xmlns="{QTI}" identifier="{code}" title={quoteattr(prompt[:60])}
    adaptive="false" time-dependent="false" xml:lang="{language}">
  <qti-response-declaration identifier="RESPONSE" cardinality="{'multiple' if several else 'single'}" base-type="identifier">
    <qti-correct-response>{values}
    </qti-correct-response>
  </qti-response-declaration>
  <qti-outcome-declaration identifier="SCORE" cardinality="single" base-type="float"/>
  <qti-item-body>
{shown}    <qti-choice-interaction response-identifier="RESPONSE" max-choices="{0 if several else 1}" shuffle="false">
      <qti-prompt>{escape(prompt)}</qti-prompt>{offered}
    </qti-choice-interaction>
  </qti-item-body>
  <qti-response-processing template="{MATCH}"/>
</qti-assessment-item>
"""


def test(language, codes):
    references = "".join(f'\n      <qti-assessment-item-ref identifier="{code}" href="{code}.xml"/>' for code in codes)
    return HEAD + f"""<qti-assessment-test xmlns="{QTI}" identifier="phys-basic-{language}" title={quoteattr(TITLE[language])}
    xml:lang="{language}">
  <qti-test-part identifier="part-1" navigation-mode="nonlinear" submission-mode="simultaneous">
    <qti-assessment-section identifier="section-1" title={quoteattr(TITLE[language])} visible="true">{references}
    </qti-assessment-section>
  </qti-test-part>
</qti-assessment-test>
"""


def manifest(language, items):
    resources = "".join(
        f'\n    <resource identifier="{code}" type="imsqti_item_xmlv3p0" href="{code}.xml">'
        f'\n      <file href="{code}.xml"/>' + (f'\n      <file href="pictures/{picture}.png"/>' if picture else "")
        + "\n    </resource>" for code, picture in items)
    return HEAD + f"""<manifest xmlns="{PACKAGE}" identifier="phys-basic-{language}-package">
  <metadata>
    <schema>QTI Package</schema>
    <schemaversion>3.0.0</schemaversion>
  </metadata>
  <organizations/>
  <resources>
    <resource identifier="phys-basic-{language}" type="imsqti_test_xmlv3p0" href="assessment.xml">
      <file href="assessment.xml"/>
    </resource>{resources}
  </resources>
</manifest>
"""


def draw(chromium, folder):
    for name, picture in PICTURES.items():
        page = folder / f"{name}.svg"
        page.write_text(picture(), encoding="utf-8")
        subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                        "--disable-background-networking", "--disable-component-update", "--disable-sync",
                        f"--user-data-dir={folder}/profile", "--hide-scrollbars", "--window-size=900,460",
                        f"--screenshot={folder}/{name}.png", page.as_uri()], check=True, capture_output=True)


def main():
    chromium = sys.argv[1] if len(sys.argv) > 1 else "chromium"
    with tempfile.TemporaryDirectory() as made:
        draw(chromium, Path(made))
        for language in ("kk", "ru"):
            folder = HERE / language
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "pictures").mkdir(parents=True)
            items = []
            for number in range(1, len(ITEMS) + 1):
                code, picture, xml = item(number, language)
                (folder / f"{code}.xml").write_text(xml, encoding="utf-8")
                items.append((code, picture))
            (folder / "assessment.xml").write_text(test(language, [code for code, _ in items]), encoding="utf-8")
            (folder / "imsmanifest.xml").write_text(manifest(language, items), encoding="utf-8")
            for name in PICTURES:
                shutil.copy(Path(made) / f"{name}.png", folder / "pictures")


main()
