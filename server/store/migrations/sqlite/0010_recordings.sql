-- Recordings: which agent keys were certified, when each part began, and the Merkle log of seals.

CREATE TABLE agent_certificates (
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    key             BLOB NOT NULL,
    bytes           BLOB NOT NULL,
    PRIMARY KEY (attempt_id, epoch, key)
) STRICT;

-- An agent that starts again gets another key; beats signed with an earlier one stay good.
CREATE TRIGGER agent_certificates_kept AFTER UPDATE OF agent_certificate ON epochs
WHEN NEW.agent_certificate IS NOT NULL AND NEW.agent_key IS NOT NULL
BEGIN
    INSERT OR IGNORE INTO agent_certificates (attempt_id, epoch, institution_id, key, bytes)
    VALUES (NEW.attempt_id, NEW.epoch, NEW.institution_id, NEW.agent_key, NEW.agent_certificate);
END;

CREATE TABLE recordings (
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    began_ms        INTEGER NOT NULL,
    finished_ms     INTEGER,
    PRIMARY KEY (attempt_id, epoch)
) STRICT;

CREATE TABLE log_leaves (
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    place           INTEGER NOT NULL,
    attempt_id      TEXT NOT NULL UNIQUE REFERENCES attempts (id),
    hash            BLOB NOT NULL,
    sealed_ms       INTEGER NOT NULL,
    PRIMARY KEY (institution_id, place)
) STRICT;
