-- Who, what, when, and how every attempt stands. Identifiers are UUIDv7 texts, times are UTC in
-- milliseconds. What is sealed is nonce || ciphertext || tag of AES-256-GCM, in its own place.

CREATE TABLE institutions (
    id          TEXT PRIMARY KEY NOT NULL,
    created_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE people (
    id              TEXT PRIMARY KEY NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    login           TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    language        TEXT NOT NULL DEFAULT 'kk',
    external_id     TEXT NOT NULL DEFAULT '',
    unit            TEXT NOT NULL DEFAULT '',
    email           TEXT NOT NULL DEFAULT '',
    photo_sealed    BLOB,
    created_ms      INTEGER NOT NULL,
    disabled_ms     INTEGER,
    UNIQUE (institution_id, login)
) STRICT;

CREATE TABLE credentials (
    person_id       TEXT PRIMARY KEY NOT NULL REFERENCES people (id),
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    password_hash   TEXT NOT NULL,
    must_change     INTEGER NOT NULL DEFAULT 0,
    totp_sealed     BLOB,
    totp_confirmed  INTEGER NOT NULL DEFAULT 0,
    totp_step       INTEGER NOT NULL DEFAULT 0,
    changed_ms      INTEGER NOT NULL
) STRICT;

CREATE TABLE staff_roles (
    person_id       TEXT NOT NULL REFERENCES people (id),
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    role            TEXT NOT NULL CHECK (role IN ('proctor', 'test_centre', 'administrator')),
    PRIMARY KEY (person_id, role)
) STRICT;

CREATE TABLE exams (
    id               TEXT PRIMARY KEY NOT NULL,
    institution_id   TEXT NOT NULL REFERENCES institutions (id),
    title            TEXT NOT NULL,
    discipline       TEXT NOT NULL,
    discipline_code  TEXT NOT NULL DEFAULT '',
    key_wrapped      BLOB NOT NULL,
    created_ms       INTEGER NOT NULL
) STRICT;

CREATE TABLE tests (
    id              TEXT PRIMARY KEY NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    exam_id         TEXT NOT NULL REFERENCES exams (id),
    language        TEXT NOT NULL,
    title           TEXT NOT NULL,
    items           INTEGER NOT NULL,
    created_ms      INTEGER NOT NULL,
    replaced_ms     INTEGER
) STRICT;
CREATE INDEX tests_by_exam ON tests (exam_id, language);

CREATE TABLE items (
    id              TEXT NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    test_id         TEXT NOT NULL REFERENCES tests (id),
    position        INTEGER NOT NULL,
    sealed          BLOB NOT NULL,
    PRIMARY KEY (test_id, position)
) STRICT;

CREATE TABLE pictures (
    id              TEXT NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    test_id         TEXT NOT NULL REFERENCES tests (id),
    media_type      TEXT NOT NULL,
    sealed          BLOB NOT NULL,
    PRIMARY KEY (test_id, id)
) STRICT;

CREATE TABLE sittings (
    id               TEXT PRIMARY KEY NOT NULL,
    institution_id   TEXT NOT NULL REFERENCES institutions (id),
    exam_id          TEXT NOT NULL REFERENCES exams (id),
    opens_ms         INTEGER NOT NULL,
    closes_ms        INTEGER NOT NULL,
    duration_ms      INTEGER NOT NULL,
    policy           TEXT NOT NULL,
    bandwidth        TEXT NOT NULL DEFAULT 'standard',
    deny_processes   TEXT NOT NULL DEFAULT '[]',
    allow_processes  TEXT NOT NULL DEFAULT '[]',
    created_ms       INTEGER NOT NULL
) STRICT;

CREATE TABLE admissions (
    sitting_id      TEXT NOT NULL REFERENCES sittings (id),
    person_id       TEXT NOT NULL REFERENCES people (id),
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    admitted        INTEGER NOT NULL,
    reason          TEXT NOT NULL DEFAULT '',
    extra_minutes   INTEGER NOT NULL DEFAULT 0,
    accessibility   INTEGER NOT NULL DEFAULT 0,
    changed_ms      INTEGER NOT NULL,
    PRIMARY KEY (sitting_id, person_id)
) STRICT;
CREATE INDEX admissions_by_person ON admissions (person_id);

CREATE TABLE attempts (
    id                  TEXT PRIMARY KEY NOT NULL,
    institution_id      TEXT NOT NULL REFERENCES institutions (id),
    sitting_id          TEXT NOT NULL REFERENCES sittings (id),
    person_id           TEXT NOT NULL REFERENCES people (id),
    number              INTEGER NOT NULL DEFAULT 1,
    phase               TEXT NOT NULL,
    phase_word          TEXT NOT NULL,
    phase_since_ms      INTEGER NOT NULL,
    epoch               INTEGER NOT NULL DEFAULT 0,
    device_key          BLOB,
    boot                BLOB,
    instance            BLOB,
    language            TEXT NOT NULL DEFAULT '',
    test_id             TEXT REFERENCES tests (id),
    key_wrapped         BLOB NOT NULL,
    identity            TEXT NOT NULL DEFAULT 'open',
    proctor_opened      INTEGER NOT NULL DEFAULT 0,
    held                TEXT,
    hand_raised         INTEGER NOT NULL DEFAULT 0,
    spent_ms            INTEGER NOT NULL DEFAULT 0,
    credited_ms         INTEGER NOT NULL DEFAULT 0,
    extra_ms            INTEGER NOT NULL DEFAULT 0,
    saved_ms            INTEGER NOT NULL DEFAULT 0,
    check_in_ms         INTEGER,
    started_ms          INTEGER,
    submitted_ms        INTEGER,
    ended_ms            INTEGER,
    late                INTEGER NOT NULL DEFAULT 0,
    retention_until_ms  INTEGER,
    legal_hold          INTEGER NOT NULL DEFAULT 0,
    created_ms          INTEGER NOT NULL,
    UNIQUE (sitting_id, person_id, number)
) STRICT;
CREATE INDEX attempts_by_person ON attempts (person_id);
CREATE INDEX attempts_by_phase ON attempts (phase_word);

CREATE TABLE phase_changes (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    at_ms           INTEGER NOT NULL,
    phase           TEXT NOT NULL
) STRICT;
CREATE INDEX phase_changes_by_attempt ON phase_changes (attempt_id, at_ms);

CREATE TABLE epochs (
    attempt_id            TEXT NOT NULL REFERENCES attempts (id),
    epoch                 INTEGER NOT NULL,
    institution_id        TEXT NOT NULL REFERENCES institutions (id),
    device_key            BLOB NOT NULL,
    boot                  BLOB NOT NULL,
    client_key            BLOB,
    agent_key             BLOB,
    agent_certificate     BLOB,
    agent_version         TEXT NOT NULL DEFAULT '',
    simulated_build       INTEGER NOT NULL DEFAULT 0,
    statements            TEXT NOT NULL DEFAULT '[]',
    journal_key_wrapped   BLOB NOT NULL,
    freshness_key_wrapped BLOB NOT NULL,
    spool_key_wrapped     BLOB NOT NULL,
    began_ms              INTEGER NOT NULL,
    ended_ms              INTEGER,
    PRIMARY KEY (attempt_id, epoch)
) STRICT;

CREATE TABLE responses (
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    item_id         TEXT NOT NULL,
    sealed          BLOB NOT NULL,
    hash            BLOB NOT NULL,
    lease_left_ms   INTEGER NOT NULL,
    after_lease     INTEGER NOT NULL,
    received_ms     INTEGER NOT NULL,
    received_phase  TEXT NOT NULL,
    PRIMARY KEY (attempt_id, epoch, seq)
) STRICT;

CREATE TABLE response_receipts (
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    next            INTEGER NOT NULL,
    submitted       INTEGER NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    bytes           BLOB NOT NULL,
    signature       BLOB NOT NULL,
    at_ms           INTEGER NOT NULL,
    PRIMARY KEY (attempt_id, epoch, next, submitted)
) STRICT;

CREATE TABLE messages (
    id              TEXT PRIMARY KEY NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    sender          TEXT NOT NULL CHECK (sender IN ('proctor', 'candidate')),
    person_id       TEXT,
    at_ms           INTEGER NOT NULL,
    sealed          BLOB NOT NULL
) STRICT;
CREATE INDEX messages_by_attempt ON messages (attempt_id, at_ms);

CREATE TABLE client_events (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    kind            TEXT NOT NULL,
    at_ms           INTEGER NOT NULL,
    client_at_us    INTEGER NOT NULL,
    detail          TEXT NOT NULL
) STRICT;
CREATE INDEX client_events_by_attempt ON client_events (attempt_id, at_ms);

CREATE TABLE system_checks (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    at_ms           INTEGER NOT NULL,
    lines           TEXT NOT NULL
) STRICT;
CREATE INDEX system_checks_by_attempt ON system_checks (attempt_id, at_ms);

CREATE TABLE identity_documents (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    at_ms           INTEGER NOT NULL,
    sealed          BLOB NOT NULL
) STRICT;

CREATE TABLE incidents (
    id              TEXT PRIMARY KEY NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    kind            TEXT NOT NULL,
    severity        REAL NOT NULL,
    began_ms        INTEGER NOT NULL,
    ended_ms        INTEGER,
    began_us        INTEGER NOT NULL DEFAULT 0,
    stream          TEXT,
    observations    INTEGER NOT NULL DEFAULT 1,
    detector        TEXT NOT NULL DEFAULT '',
    detail          TEXT NOT NULL DEFAULT '',
    verdict         TEXT,
    verdict_by      TEXT,
    verdict_at_ms   INTEGER,
    note            TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX incidents_by_attempt ON incidents (attempt_id, began_ms);

CREATE TABLE consents (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    version         TEXT NOT NULL,
    language        TEXT NOT NULL,
    agreed          INTEGER NOT NULL,
    at_ms           INTEGER NOT NULL
) STRICT;
CREATE INDEX consents_by_attempt ON consents (attempt_id, at_ms);

CREATE TABLE move_requests (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    device_key      BLOB NOT NULL,
    boot            BLOB NOT NULL,
    asked_ms        INTEGER NOT NULL,
    decided_ms      INTEGER,
    decided_by      TEXT,
    approved        INTEGER,
    UNIQUE (attempt_id, device_key, boot, decided_ms)
) STRICT;
CREATE INDEX move_requests_by_attempt ON move_requests (attempt_id, asked_ms);

CREATE TABLE tokens (
    hash            BLOB PRIMARY KEY NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    kind            TEXT NOT NULL CHECK (kind IN ('client', 'agent', 'staff')),
    person_id       TEXT NOT NULL REFERENCES people (id),
    attempt_id      TEXT REFERENCES attempts (id),
    epoch           INTEGER,
    device_key      BLOB,
    boot            BLOB,
    instance        BLOB,
    csrf            TEXT,
    created_ms      INTEGER NOT NULL,
    expires_ms      INTEGER NOT NULL,
    ended_ms        INTEGER
) STRICT;
CREATE INDEX tokens_by_person ON tokens (person_id, kind);
CREATE INDEX tokens_by_attempt ON tokens (attempt_id, kind);

CREATE TABLE audit_log (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    at_ms           INTEGER NOT NULL,
    actor           TEXT NOT NULL,
    action          TEXT NOT NULL,
    subject         TEXT NOT NULL,
    detail          TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX audit_log_by_subject ON audit_log (subject, at_ms);
