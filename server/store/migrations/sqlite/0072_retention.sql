-- Why an attempt may not be deleted; empty where it may.
ALTER TABLE attempts ADD COLUMN hold_reason TEXT NOT NULL DEFAULT '';
-- Who asked for the deletion, and why; NULL where nobody did. `retention` is the server's own reason.
ALTER TABLE attempts ADD COLUMN delete_by TEXT;
ALTER TABLE attempts ADD COLUMN delete_reason TEXT;
-- When the key was destroyed, and when the last file was gone.
ALTER TABLE attempts ADD COLUMN deleted_ms INTEGER;
ALTER TABLE attempts ADD COLUMN files_gone_ms INTEGER;
CREATE INDEX attempts_by_retention ON attempts (retention_until_ms) WHERE deleted_ms IS NULL;
