-- Each entry of the audit log holds the hash of the one before it and of itself; entries from before
-- are chained when the server first opens the database after this. `prev` and `hash` are 32 bytes.
ALTER TABLE audit_log ADD COLUMN prev BLOB;
ALTER TABLE audit_log ADD COLUMN hash BLOB;

-- How many entries there are and the newest one's hash, so that a cut end is told.
CREATE TABLE audit_head (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    entries         INTEGER NOT NULL,
    hash            BLOB NOT NULL
) STRICT;

-- A slip changes nothing that was logged; who means to can drop this, and the chain then tells.
CREATE TRIGGER audit_log_unchanged BEFORE UPDATE ON audit_log WHEN OLD.hash IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never changed');
END;
CREATE TRIGGER audit_log_kept BEFORE DELETE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is never cut');
END;
