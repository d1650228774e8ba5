-- Where an attempt's requests came from (M11). An address is personal data: it is sealed under the
-- attempt's key and goes with it.
CREATE TABLE attempt_addresses (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    program         TEXT NOT NULL CHECK (program IN ('client', 'agent')),
    sealed          BLOB NOT NULL,
    first_ms        INTEGER NOT NULL,
    last_ms         INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_addresses_by_attempt ON attempt_addresses (attempt_id);

-- Each start of the client that took the attempt.
CREATE TABLE attempt_instances (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    instance        BLOB NOT NULL,
    at_ms           INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_instances_by_attempt ON attempt_instances (attempt_id);

-- What the server made of a check: the faults, one a line; empty where it fulfils its task.
ALTER TABLE system_checks ADD COLUMN faults TEXT NOT NULL DEFAULT '';
-- Where the check of the machine stands that the attempt is bound to, JSON.
ALTER TABLE attempts ADD COLUMN machine TEXT NOT NULL DEFAULT '{}';
UPDATE attempts SET machine = '{"done":true}'
    WHERE EXISTS (SELECT 1 FROM system_checks c WHERE c.attempt_id = attempts.id);

-- What was decided about an identity, by whom and why; the reason is sealed under the attempt's key.
CREATE TABLE identity_decisions (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    at_ms           INTEGER NOT NULL,
    person_id       TEXT REFERENCES people (id),
    decision        TEXT NOT NULL,
    reason          BLOB
) STRICT;
CREATE INDEX identity_decisions_by_attempt ON identity_decisions (attempt_id);
