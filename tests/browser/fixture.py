"""Rows as a running exam leaves them, for the browser tests alone."""

import json
import sqlite3
import sys
import time
import uuid

base = sqlite3.connect(sys.argv[1], timeout=20)
base.row_factory = sqlite3.Row
now = int(time.time() * 1000)


def attempts():
    rows = base.execute(
        "SELECT a.id, a.institution_id, p.login FROM attempts a JOIN people p ON p.id = a.person_id "
        "JOIN admissions d ON d.person_id = a.person_id AND d.sitting_id = a.sitting_id "
        "WHERE d.admitted = 1 ORDER BY p.login"
    )
    return list(rows)


def phase(attempt, word, ago_s, **more):
    since = now - ago_s * 1000
    value = json.dumps({"phase": word, "since": since, **more})
    base.execute(
        "UPDATE attempts SET phase = ?, phase_word = ?, phase_since_ms = ?, check_in_ms = ? WHERE id = ?",
        (value, word, since, now - 1_500_000, attempt),
    )


def put(attempt, **columns):
    names = ", ".join(f"{name} = ?" for name in columns)
    base.execute(f"UPDATE attempts SET {names} WHERE id = ?", (*columns.values(), attempt))


def incident(row, kind, severity, ago_s, at_s, stream, detail):
    base.execute(
        "INSERT INTO incidents (id, institution_id, attempt_id, kind, severity, began_ms, began_us, "
        "stream, detector, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'test/1', ?)",
        (str(uuid.uuid4()), row["institution_id"], row["id"], kind, severity, now - ago_s * 1000,
         at_s * 1_000_000, stream, detail),
    )


def main():
    rows = attempts()
    ids = {}
    started = now - 1_200_000
    tasks = {"consent": True, "system_check": True, "identity": True, "instruction": False}
    for place, row in enumerate(rows):
        ids[row["login"]] = row["id"]
        if place in (0, 1, 2, 3):
            phase(row["id"], "running", 1_200)
            put(row["id"], started_ms=started, spent_ms=1_200_000)
        elif place == 4:
            phase(row["id"], "paused", 25, cause="source_lost")
            put(row["id"], started_ms=started, hand_raised=1)
        elif place == 5:
            phase(row["id"], "check_in", 95, tasks=tasks)
            put(row["id"], identity="waiting", check_in_ms=now - 95_000)
        elif place in (6, 7):
            # Long enough ago that nothing is waited for any more before it is sealed.
            phase(row["id"], "submitted", 1_200)
            ended = now - 1_200_000
            put(row["id"], started_ms=now - 1_450_000, submitted_ms=ended, ended_ms=ended)
    incident(rows[1], "window_switch", 0.6, 20, 1_180, "screen-0", "Telegram")
    incident(rows[2], "clipboard_changed", 0.3, 400, 800, None, "")
    incident(rows[6], "window_switch", 0.6, 1_440, 4, "screen-0", "Firefox: kk.wikipedia.org")
    incident(rows[6], "camera_covered", 0.7, 1_340, 9, "camera-0", "")
    incident(rows[6], "second_display", 0.7, 1_240, 14, "screen-0", "HDMI-1 1920×1080")
    base.commit()
    print(json.dumps(ids))


main()
