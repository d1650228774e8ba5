-- A finished review is taken up again by an incident that is raised later. The server does so where it
-- writes the incident, with an entry in the audit log, and keeps since when and what was said before, so
-- that the console can tell.
DROP TRIGGER reviews_reopen;
ALTER TABLE reviews ADD COLUMN reopened_ms INTEGER;
ALTER TABLE reviews ADD COLUMN reopened_from TEXT;
