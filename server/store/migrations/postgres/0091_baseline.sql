-- The whole schema for PostgreSQL 15 and later, as the migrations for SQLite leave it. What each
-- table and column means is said there. Text is compared by its bytes, as SQLite does; whatever is
-- true or false is 1 or 0; times are UTC in milliseconds.

-- What statements for both databases use that PostgreSQL calls otherwise.

CREATE DOMAIN blob AS bytea;

CREATE FUNCTION instr(whole text, part text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CAST(strpos(whole, part) AS bigint);

-- The values of a JSON array, as text.
CREATE FUNCTION json_each(list text) RETURNS TABLE (key bigint, value text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT one.place - 1, one.value
    FROM json_array_elements_text(CAST(list AS json)) WITH ORDINALITY AS one (value, place);
END;

CREATE TABLE institutions (
    id          TEXT COLLATE "C" PRIMARY KEY,
    created_ms  BIGINT NOT NULL
);

CREATE TABLE people (
    id              TEXT COLLATE "C" PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    login           TEXT COLLATE "C" NOT NULL,
    display_name    TEXT COLLATE "C" NOT NULL,
    language        TEXT COLLATE "C" NOT NULL DEFAULT 'kk',
    external_id     TEXT COLLATE "C" NOT NULL DEFAULT '',
    unit            TEXT COLLATE "C" NOT NULL DEFAULT '',
    email           TEXT COLLATE "C" NOT NULL DEFAULT '',
    photo_sealed    BYTEA,
    created_ms      BIGINT NOT NULL,
    disabled_ms     BIGINT,
    folded          TEXT COLLATE "C",
    UNIQUE (institution_id, login)
);
CREATE INDEX people_by_folded ON people (folded NULLS FIRST);

CREATE TABLE credentials (
    person_id       TEXT COLLATE "C" PRIMARY KEY REFERENCES people (id),
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    password_hash   TEXT COLLATE "C" NOT NULL,
    must_change     BIGINT NOT NULL DEFAULT 0,
    totp_sealed     BYTEA,
    totp_confirmed  BIGINT NOT NULL DEFAULT 0,
    totp_step       BIGINT NOT NULL DEFAULT 0,
    changed_ms      BIGINT NOT NULL,
    code_until_ms   BIGINT
);

CREATE TABLE staff_roles (
    person_id       TEXT COLLATE "C" NOT NULL REFERENCES people (id),
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    role            TEXT COLLATE "C" NOT NULL
        CHECK (role IN ('proctor', 'test_centre', 'administrator')),
    PRIMARY KEY (person_id, role)
);

CREATE TABLE exams (
    id               TEXT COLLATE "C" PRIMARY KEY,
    institution_id   TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    title            TEXT COLLATE "C" NOT NULL,
    discipline       TEXT COLLATE "C" NOT NULL,
    discipline_code  TEXT COLLATE "C" NOT NULL DEFAULT '',
    key_wrapped      BYTEA NOT NULL,
    created_ms       BIGINT NOT NULL
);

CREATE TABLE tests (
    id              TEXT COLLATE "C" PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    exam_id         TEXT COLLATE "C" NOT NULL REFERENCES exams (id),
    language        TEXT COLLATE "C" NOT NULL,
    title           TEXT COLLATE "C" NOT NULL,
    items           BIGINT NOT NULL,
    created_ms      BIGINT NOT NULL,
    replaced_ms     BIGINT
);
CREATE INDEX tests_by_exam ON tests (exam_id, language);

CREATE TABLE items (
    id              TEXT COLLATE "C" NOT NULL,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    test_id         TEXT COLLATE "C" NOT NULL REFERENCES tests (id),
    position        BIGINT NOT NULL,
    sealed          BYTEA NOT NULL,
    PRIMARY KEY (test_id, position)
);

CREATE TABLE pictures (
    id              TEXT COLLATE "C" NOT NULL,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    test_id         TEXT COLLATE "C" NOT NULL REFERENCES tests (id),
    media_type      TEXT COLLATE "C" NOT NULL,
    sealed          BYTEA NOT NULL,
    PRIMARY KEY (test_id, id)
);

CREATE TABLE sittings (
    id               TEXT COLLATE "C" PRIMARY KEY,
    institution_id   TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    exam_id          TEXT COLLATE "C" NOT NULL REFERENCES exams (id),
    opens_ms         BIGINT NOT NULL,
    closes_ms        BIGINT NOT NULL,
    duration_ms      BIGINT NOT NULL,
    policy           TEXT COLLATE "C" NOT NULL,
    bandwidth        TEXT COLLATE "C" NOT NULL DEFAULT 'standard',
    deny_processes   TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    allow_processes  TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    created_ms       BIGINT NOT NULL
);
CREATE INDEX sittings_by_opening ON sittings (opens_ms);
CREATE INDEX sittings_by_exam ON sittings (exam_id, opens_ms);

CREATE TABLE admissions (
    sitting_id      TEXT COLLATE "C" NOT NULL REFERENCES sittings (id),
    person_id       TEXT COLLATE "C" NOT NULL REFERENCES people (id),
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    admitted        BIGINT NOT NULL,
    reason          TEXT COLLATE "C" NOT NULL DEFAULT '',
    extra_minutes   BIGINT NOT NULL DEFAULT 0,
    accessibility   BIGINT NOT NULL DEFAULT 0,
    changed_ms      BIGINT NOT NULL,
    allowances      TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    version         BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (sitting_id, person_id)
);
CREATE INDEX admissions_by_person ON admissions (person_id);
CREATE INDEX admissions_by_version ON admissions (version);

CREATE TABLE attempts (
    id                  TEXT COLLATE "C" PRIMARY KEY,
    institution_id      TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    sitting_id          TEXT COLLATE "C" NOT NULL REFERENCES sittings (id),
    person_id           TEXT COLLATE "C" NOT NULL REFERENCES people (id),
    number              BIGINT NOT NULL DEFAULT 1,
    phase               TEXT COLLATE "C" NOT NULL,
    phase_word          TEXT COLLATE "C" NOT NULL,
    phase_since_ms      BIGINT NOT NULL,
    epoch               BIGINT NOT NULL DEFAULT 0,
    device_key          BYTEA,
    boot                BYTEA,
    instance            BYTEA,
    language            TEXT COLLATE "C" NOT NULL DEFAULT '',
    test_id             TEXT COLLATE "C" REFERENCES tests (id),
    key_wrapped         BYTEA NOT NULL,
    identity            TEXT COLLATE "C" NOT NULL DEFAULT 'open',
    proctor_opened      BIGINT NOT NULL DEFAULT 0,
    held                TEXT COLLATE "C",
    hand_raised         BIGINT NOT NULL DEFAULT 0,
    spent_ms            BIGINT NOT NULL DEFAULT 0,
    credited_ms         BIGINT NOT NULL DEFAULT 0,
    extra_ms            BIGINT NOT NULL DEFAULT 0,
    saved_ms            BIGINT NOT NULL DEFAULT 0,
    check_in_ms         BIGINT,
    started_ms          BIGINT,
    submitted_ms        BIGINT,
    ended_ms            BIGINT,
    late                BIGINT NOT NULL DEFAULT 0,
    retention_until_ms  BIGINT,
    legal_hold          BIGINT NOT NULL DEFAULT 0,
    created_ms          BIGINT NOT NULL,
    watch               TEXT COLLATE "C",
    credited_by         TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    hold_reason         TEXT COLLATE "C" NOT NULL DEFAULT '',
    delete_by           TEXT COLLATE "C",
    delete_reason       TEXT COLLATE "C",
    deleted_ms          BIGINT,
    files_gone_ms       BIGINT,
    machine             TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    UNIQUE (sitting_id, person_id, number)
);
CREATE INDEX attempts_by_person ON attempts (person_id);
CREATE INDEX attempts_by_phase ON attempts (phase_word);
CREATE INDEX attempts_by_sitting ON attempts (sitting_id, phase_word);
CREATE INDEX attempts_by_retention ON attempts (retention_until_ms) WHERE deleted_ms IS NULL;

CREATE TABLE phase_changes (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    at_ms           BIGINT NOT NULL,
    phase           TEXT COLLATE "C" NOT NULL
);
CREATE INDEX phase_changes_by_attempt ON phase_changes (attempt_id, at_ms);

CREATE TABLE epochs (
    attempt_id             TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch                  BIGINT NOT NULL,
    institution_id         TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    device_key             BYTEA NOT NULL,
    boot                   BYTEA NOT NULL,
    client_key             BYTEA,
    agent_key              BYTEA,
    agent_certificate      BYTEA,
    agent_version          TEXT COLLATE "C" NOT NULL DEFAULT '',
    simulated_build        BIGINT NOT NULL DEFAULT 0,
    statements             TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    journal_key_wrapped    BYTEA NOT NULL,
    freshness_key_wrapped  BYTEA NOT NULL,
    spool_key_wrapped      BYTEA NOT NULL,
    began_ms               BIGINT NOT NULL,
    ended_ms               BIGINT,
    agent_signature        BYTEA,
    PRIMARY KEY (attempt_id, epoch)
);

CREATE TABLE responses (
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    seq             BIGINT NOT NULL,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    item_id         TEXT COLLATE "C" NOT NULL,
    sealed          BYTEA NOT NULL,
    hash            BYTEA NOT NULL,
    lease_left_ms   BIGINT NOT NULL,
    after_lease     BIGINT NOT NULL,
    received_ms     BIGINT NOT NULL,
    received_phase  TEXT COLLATE "C" NOT NULL,
    mark            TEXT COLLATE "C" NOT NULL DEFAULT 'in_time'
        CHECK (mark IN ('in_time', 'after_cover', 'after_end', 'own_word')),
    late_ms         BIGINT,
    confirmed_ms    BIGINT,
    PRIMARY KEY (attempt_id, epoch, seq)
);
CREATE INDEX responses_late ON responses (attempt_id, epoch, seq) WHERE mark != 'in_time';
CREATE INDEX responses_by_item ON responses (attempt_id, item_id, epoch, seq);

CREATE TABLE response_receipts (
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    next            BIGINT NOT NULL,
    submitted       BIGINT NOT NULL,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    bytes           BYTEA NOT NULL,
    signature       BYTEA NOT NULL,
    at_ms           BIGINT NOT NULL,
    PRIMARY KEY (attempt_id, epoch, next, submitted)
);

CREATE TABLE messages (
    id              TEXT COLLATE "C" PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    sender          TEXT COLLATE "C" NOT NULL CHECK (sender IN ('proctor', 'candidate')),
    person_id       TEXT COLLATE "C",
    at_ms           BIGINT NOT NULL,
    sealed          BYTEA NOT NULL
);
CREATE INDEX messages_by_attempt ON messages (attempt_id, at_ms);

CREATE TABLE client_events (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    kind            TEXT COLLATE "C" NOT NULL,
    at_ms           BIGINT NOT NULL,
    client_at_us    BIGINT NOT NULL,
    detail          TEXT COLLATE "C" NOT NULL
);
CREATE INDEX client_events_by_attempt ON client_events (attempt_id, at_ms);

CREATE TABLE system_checks (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    at_ms           BIGINT NOT NULL,
    lines           TEXT COLLATE "C" NOT NULL,
    faults          TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX system_checks_by_attempt ON system_checks (attempt_id, at_ms);

CREATE TABLE identity_documents (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    at_ms           BIGINT NOT NULL,
    sealed          BYTEA NOT NULL
);

CREATE TABLE incidents (
    id              TEXT COLLATE "C" PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    kind            TEXT COLLATE "C" NOT NULL,
    severity        DOUBLE PRECISION NOT NULL,
    began_ms        BIGINT NOT NULL,
    ended_ms        BIGINT,
    began_us        BIGINT NOT NULL DEFAULT 0,
    stream          TEXT COLLATE "C",
    observations    BIGINT NOT NULL DEFAULT 1,
    detector        TEXT COLLATE "C" NOT NULL DEFAULT '',
    detail          TEXT COLLATE "C" NOT NULL DEFAULT '',
    verdict         TEXT COLLATE "C",
    verdict_by      TEXT COLLATE "C",
    verdict_at_ms   BIGINT,
    note            TEXT COLLATE "C" NOT NULL DEFAULT '',
    epoch           BIGINT NOT NULL DEFAULT 1,
    counts          BIGINT NOT NULL DEFAULT 1,
    score           DOUBLE PRECISION,
    threshold       DOUBLE PRECISION,
    models          TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX incidents_by_attempt ON incidents (attempt_id, began_ms);

CREATE TABLE consents (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    version         TEXT COLLATE "C" NOT NULL,
    language        TEXT COLLATE "C" NOT NULL,
    agreed          BIGINT NOT NULL,
    at_ms           BIGINT NOT NULL
);
CREATE INDEX consents_by_attempt ON consents (attempt_id, at_ms);

CREATE TABLE move_requests (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    device_key      BYTEA NOT NULL,
    boot            BYTEA NOT NULL,
    asked_ms        BIGINT NOT NULL,
    decided_ms      BIGINT,
    decided_by      TEXT COLLATE "C",
    approved        BIGINT,
    UNIQUE (attempt_id, device_key, boot, decided_ms)
);
CREATE INDEX move_requests_by_attempt ON move_requests (attempt_id, asked_ms);

CREATE TABLE tokens (
    hash            BYTEA PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    kind            TEXT COLLATE "C" NOT NULL CHECK (kind IN ('client', 'agent', 'staff')),
    person_id       TEXT COLLATE "C" NOT NULL REFERENCES people (id),
    attempt_id      TEXT COLLATE "C" REFERENCES attempts (id),
    epoch           BIGINT,
    device_key      BYTEA,
    boot            BYTEA,
    instance        BYTEA,
    csrf            TEXT COLLATE "C",
    created_ms      BIGINT NOT NULL,
    expires_ms      BIGINT NOT NULL,
    ended_ms        BIGINT,
    one_time        BIGINT NOT NULL DEFAULT 0,
    factor          BIGINT NOT NULL DEFAULT 0,
    totp_begun      BYTEA
);
CREATE INDEX tokens_by_person ON tokens (person_id, kind);
CREATE INDEX tokens_by_attempt ON tokens (attempt_id, kind);

CREATE TABLE audit_log (
    id              BIGINT PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    at_ms           BIGINT NOT NULL,
    actor           TEXT COLLATE "C" NOT NULL,
    action          TEXT COLLATE "C" NOT NULL,
    subject         TEXT COLLATE "C" NOT NULL,
    detail          TEXT COLLATE "C" NOT NULL DEFAULT '',
    prev            BYTEA,
    hash            BYTEA
);
CREATE INDEX audit_log_by_subject ON audit_log (subject, at_ms);

CREATE TABLE agent_certificates (
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    key             BYTEA NOT NULL,
    bytes           BYTEA NOT NULL,
    signature       BYTEA,
    place           BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (attempt_id, epoch, key)
);

CREATE TABLE recordings (
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    began_ms        BIGINT NOT NULL,
    finished_ms     BIGINT,
    PRIMARY KEY (attempt_id, epoch)
);

CREATE TABLE log_leaves (
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    place           BIGINT NOT NULL,
    attempt_id      TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES attempts (id),
    hash            BYTEA NOT NULL,
    sealed_ms       BIGINT NOT NULL,
    PRIMARY KEY (institution_id, place)
);

CREATE TABLE person_details (
    person_id       TEXT COLLATE "C" PRIMARY KEY REFERENCES people (id),
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    family_name     TEXT COLLATE "C" NOT NULL,
    given_name      TEXT COLLATE "C" NOT NULL,
    patronymic      TEXT COLLATE "C" NOT NULL DEFAULT '',
    faculty         TEXT COLLATE "C" NOT NULL DEFAULT '',
    year            TEXT COLLATE "C" NOT NULL DEFAULT '',
    group_name      TEXT COLLATE "C" NOT NULL DEFAULT '',
    speciality      TEXT COLLATE "C" NOT NULL DEFAULT ''
);

CREATE TABLE reviews (
    attempt_id      TEXT COLLATE "C" PRIMARY KEY REFERENCES attempts (id),
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    verdict         TEXT COLLATE "C" NOT NULL DEFAULT 'not_reviewed'
        CHECK (verdict IN ('not_reviewed', 'passed', 'suspicious', 'violation')),
    finished_by     TEXT COLLATE "C",
    finished_ms     BIGINT,
    watched_s       BIGINT NOT NULL DEFAULT 0,
    reopened_ms     BIGINT,
    reopened_from   TEXT COLLATE "C"
);

CREATE TABLE custody (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    person_id       TEXT COLLATE "C" NOT NULL REFERENCES people (id),
    at_ms           BIGINT NOT NULL,
    action          TEXT COLLATE "C" NOT NULL,
    detail          TEXT COLLATE "C" NOT NULL DEFAULT '',
    sign_in         TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX custody_by_attempt ON custody (attempt_id, at_ms);
CREATE UNIQUE INDEX custody_views ON custody (attempt_id, person_id, sign_in, action, detail)
    WHERE sign_in <> '';

CREATE TABLE acts (
    id              TEXT COLLATE "C" PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    form            BIGINT NOT NULL CHECK (form IN (1, 2, 3)),
    year            BIGINT NOT NULL,
    ordinal         BIGINT NOT NULL,
    state           TEXT COLLATE "C" NOT NULL CHECK (state IN ('registered', 'decided', 'served')),
    language        TEXT COLLATE "C" NOT NULL,
    code            TEXT COLLATE "C" NOT NULL UNIQUE,
    registered_ms   BIGINT NOT NULL,
    registered_by   TEXT COLLATE "C" NOT NULL,
    facts_hash      BYTEA NOT NULL,
    recording_root  BYTEA NOT NULL,
    pdf_hash        BYTEA NOT NULL,
    pdf_sealed      BYTEA NOT NULL,
    UNIQUE (institution_id, form, year, ordinal)
);
CREATE INDEX acts_by_attempt ON acts (attempt_id);
CREATE INDEX acts_by_time ON acts (registered_ms);

CREATE TABLE served (
    institution_id  TEXT COLLATE "C" PRIMARY KEY REFERENCES institutions (id),
    address         TEXT COLLATE "C" NOT NULL,
    since_ms        BIGINT NOT NULL
);

CREATE TABLE key_checks (
    institution_id  TEXT COLLATE "C" PRIMARY KEY REFERENCES institutions (id),
    sealed          BYTEA NOT NULL
);

CREATE TABLE lease_spans (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    began_ms        BIGINT NOT NULL,
    seen_ms         BIGINT NOT NULL,
    ended_ms        BIGINT
);
CREATE INDEX lease_spans_by_attempt ON lease_spans (attempt_id, began_ms);

CREATE TABLE response_decisions (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    seq             BIGINT NOT NULL,
    counts          BIGINT NOT NULL CHECK (counts IN (0, 1)),
    reason          TEXT COLLATE "C" NOT NULL,
    decided_by      TEXT COLLATE "C" NOT NULL REFERENCES people (id),
    decided_ms      BIGINT NOT NULL
);
CREATE INDEX response_decisions_by_entry ON response_decisions (attempt_id, epoch, seq, id);

CREATE TABLE item_fetches (
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    position        BIGINT NOT NULL,
    minute          BIGINT NOT NULL,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    person_id       TEXT COLLATE "C" NOT NULL REFERENCES people (id),
    item_id         TEXT COLLATE "C" NOT NULL,
    at_ms           BIGINT NOT NULL,
    lease_ends_ms   BIGINT NOT NULL,
    fetches         BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (attempt_id, epoch, position, minute)
);

CREATE TABLE sign_in_places (
    person_id       TEXT COLLATE "C" NOT NULL REFERENCES people (id),
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    kind            TEXT COLLATE "C" NOT NULL CHECK (kind IN ('device', 'network')),
    place           BYTEA NOT NULL,
    last_ms         BIGINT NOT NULL,
    PRIMARY KEY (person_id, kind, place)
);
CREATE INDEX sign_in_places_by_time ON sign_in_places (last_ms);

CREATE TABLE events_read (
    attempt_id  TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch       BIGINT NOT NULL,
    next        BIGINT,
    PRIMARY KEY (attempt_id, epoch)
);

CREATE TABLE audit_head (
    id              BIGINT PRIMARY KEY CHECK (id = 1),
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    entries         BIGINT NOT NULL,
    hash            BYTEA NOT NULL
);

CREATE TABLE sitting_proctors (
    sitting_id      TEXT COLLATE "C" NOT NULL REFERENCES sittings (id),
    person_id       TEXT COLLATE "C" NOT NULL REFERENCES people (id),
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    assigned_by     TEXT COLLATE "C" NOT NULL,
    assigned_ms     BIGINT NOT NULL,
    PRIMARY KEY (sitting_id, person_id)
);
CREATE INDEX sitting_proctors_by_person ON sitting_proctors (person_id, sitting_id);

CREATE TABLE attempt_addresses (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    program         TEXT COLLATE "C" NOT NULL CHECK (program IN ('client', 'agent')),
    sealed          BYTEA NOT NULL,
    first_ms        BIGINT NOT NULL,
    last_ms         BIGINT NOT NULL
);
CREATE INDEX attempt_addresses_by_attempt ON attempt_addresses (attempt_id);

CREATE TABLE attempt_instances (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    instance        BYTEA NOT NULL,
    at_ms           BIGINT NOT NULL
);
CREATE INDEX attempt_instances_by_attempt ON attempt_instances (attempt_id);

CREATE TABLE identity_decisions (
    id              BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    institution_id  TEXT COLLATE "C" NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT COLLATE "C" NOT NULL REFERENCES attempts (id),
    epoch           BIGINT NOT NULL,
    at_ms           BIGINT NOT NULL,
    person_id       TEXT COLLATE "C" REFERENCES people (id),
    decision        TEXT COLLATE "C" NOT NULL,
    reason          BYTEA
);
CREATE INDEX identity_decisions_by_attempt ON identity_decisions (attempt_id);

CREATE TABLE admission_versions (
    institution_id  TEXT COLLATE "C" PRIMARY KEY REFERENCES institutions (id),
    version         BIGINT NOT NULL
);

-- Late responses that count by nobody's decision yet.
CREATE VIEW responses_waiting AS
SELECT r.attempt_id, r.epoch, r.seq FROM responses r
WHERE r.mark != 'in_time' AND (r.confirmed_ms IS NULL OR r.mark = 'own_word')
    AND NOT EXISTS (SELECT 1 FROM response_decisions o
        WHERE o.attempt_id = r.attempt_id AND o.epoch = r.epoch AND o.seq = r.seq);

-- What was issued is kept as it was issued.
CREATE FUNCTION keep_agent_certificate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO agent_certificates
        (attempt_id, epoch, institution_id, key, bytes, signature, place)
    SELECT NEW.attempt_id, NEW.epoch, NEW.institution_id, NEW.agent_key, NEW.agent_certificate,
        NEW.agent_signature, COALESCE(MAX(place), 0) + 1
    FROM agent_certificates WHERE attempt_id = NEW.attempt_id AND epoch = NEW.epoch
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER agent_certificates_kept AFTER UPDATE OF agent_certificate ON epochs
FOR EACH ROW WHEN (NEW.agent_certificate IS NOT NULL AND NEW.agent_key IS NOT NULL)
EXECUTE FUNCTION keep_agent_certificate();

-- A slip changes nothing that was logged; who means to can drop this, and the chain then tells.
CREATE FUNCTION refuse_audit_log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is never changed';
END $$;
CREATE TRIGGER audit_log_unchanged BEFORE UPDATE ON audit_log
FOR EACH ROW WHEN (OLD.hash IS NOT NULL)
EXECUTE FUNCTION refuse_audit_log_change();

CREATE FUNCTION refuse_audit_log_cut() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is never cut';
END $$;
CREATE TRIGGER audit_log_kept BEFORE DELETE ON audit_log
FOR EACH ROW EXECUTE FUNCTION refuse_audit_log_cut();
CREATE TRIGGER audit_log_kept_whole BEFORE TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_log_cut();

-- Each change of an admission takes the next number.
CREATE FUNCTION number_admission() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO admission_versions (institution_id, version) VALUES (NEW.institution_id, 1)
        ON CONFLICT (institution_id) DO UPDATE SET version = admission_versions.version + 1;
    UPDATE admissions SET version = (SELECT v.version FROM admission_versions v
        WHERE v.institution_id = NEW.institution_id)
        WHERE sitting_id = NEW.sitting_id AND person_id = NEW.person_id;
    RETURN NULL;
END $$;
CREATE TRIGGER admissions_added AFTER INSERT ON admissions
FOR EACH ROW EXECUTE FUNCTION number_admission();
CREATE TRIGGER admissions_changed
AFTER UPDATE OF admitted, reason, extra_minutes, accessibility, allowances ON admissions
FOR EACH ROW EXECUTE FUNCTION number_admission();
