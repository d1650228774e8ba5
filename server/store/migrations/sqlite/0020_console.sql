-- What the console keeps: details of people that acts print, reviews, who looked, acts.

CREATE TABLE person_details (
    person_id       TEXT PRIMARY KEY NOT NULL REFERENCES people (id),
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    family_name     TEXT NOT NULL,
    given_name      TEXT NOT NULL,
    patronymic      TEXT NOT NULL DEFAULT '',
    faculty         TEXT NOT NULL DEFAULT '',
    year            TEXT NOT NULL DEFAULT '',
    group_name      TEXT NOT NULL DEFAULT '',
    speciality      TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE reviews (
    attempt_id      TEXT PRIMARY KEY NOT NULL REFERENCES attempts (id),
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    verdict         TEXT NOT NULL DEFAULT 'not_reviewed'
        CHECK (verdict IN ('not_reviewed', 'passed', 'suspicious', 'violation')),
    finished_by     TEXT,
    finished_ms     INTEGER,
    watched_s       INTEGER NOT NULL DEFAULT 0
) STRICT;

-- An incident that is raised after a review was finished takes the review up again.
CREATE TRIGGER reviews_reopen AFTER INSERT ON incidents BEGIN
    UPDATE reviews SET verdict = 'not_reviewed', finished_by = NULL, finished_ms = NULL
        WHERE attempt_id = NEW.attempt_id;
END;

CREATE TABLE custody (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    person_id       TEXT NOT NULL REFERENCES people (id),
    at_ms           INTEGER NOT NULL,
    action          TEXT NOT NULL,
    detail          TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX custody_by_attempt ON custody (attempt_id, at_ms);

CREATE TABLE acts (
    id              TEXT PRIMARY KEY NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    form            INTEGER NOT NULL CHECK (form IN (1, 2, 3)),
    year            INTEGER NOT NULL,
    ordinal         INTEGER NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('registered', 'decided', 'served')),
    language        TEXT NOT NULL,
    code            TEXT NOT NULL UNIQUE,
    registered_ms   INTEGER NOT NULL,
    registered_by   TEXT NOT NULL,
    facts_hash      BLOB NOT NULL,
    recording_root  BLOB NOT NULL,
    pdf_hash        BLOB NOT NULL,
    pdf_sealed      BLOB NOT NULL,
    UNIQUE (institution_id, form, year, ordinal)
) STRICT;
CREATE INDEX acts_by_attempt ON acts (attempt_id);
