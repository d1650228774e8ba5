-- What was issued is kept as it was issued, and where the server was reached last.

-- NULL only for certificates that were issued before signatures were kept.
ALTER TABLE epochs ADD COLUMN agent_signature BLOB;
ALTER TABLE agent_certificates ADD COLUMN signature BLOB;

DROP TRIGGER agent_certificates_kept;
CREATE TRIGGER agent_certificates_kept AFTER UPDATE OF agent_certificate ON epochs
WHEN NEW.agent_certificate IS NOT NULL AND NEW.agent_key IS NOT NULL
BEGIN
    INSERT OR IGNORE INTO agent_certificates
        (attempt_id, epoch, institution_id, key, bytes, signature)
    VALUES (NEW.attempt_id, NEW.epoch, NEW.institution_id, NEW.agent_key, NEW.agent_certificate,
        NEW.agent_signature);
END;

CREATE TABLE served (
    institution_id  TEXT PRIMARY KEY NOT NULL REFERENCES institutions (id),
    address         TEXT NOT NULL,
    since_ms        INTEGER NOT NULL
) STRICT;

-- Opens under the key-encryption key that wraps everything here: tells a rotation that was cut
-- whether the database holds the old wrappings or the new ones.
CREATE TABLE key_checks (
    institution_id  TEXT PRIMARY KEY NOT NULL REFERENCES institutions (id),
    sealed          BLOB NOT NULL
) STRICT;
