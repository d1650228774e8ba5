-- The order in which an epoch's certificates were issued stands in a column, for not every database
-- numbers its rows.
ALTER TABLE agent_certificates ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
UPDATE agent_certificates SET place = rowid;

DROP TRIGGER agent_certificates_kept;
CREATE TRIGGER agent_certificates_kept AFTER UPDATE OF agent_certificate ON epochs
WHEN NEW.agent_certificate IS NOT NULL AND NEW.agent_key IS NOT NULL
BEGIN
    INSERT INTO agent_certificates
        (attempt_id, epoch, institution_id, key, bytes, signature, place)
    SELECT NEW.attempt_id, NEW.epoch, NEW.institution_id, NEW.agent_key, NEW.agent_certificate,
        NEW.agent_signature, COALESCE(MAX(place), 0) + 1
    FROM agent_certificates WHERE attempt_id = NEW.attempt_id AND epoch = NEW.epoch
    ON CONFLICT DO NOTHING;
END;
