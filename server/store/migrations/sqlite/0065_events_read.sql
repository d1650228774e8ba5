-- How far the stored events stream of a recording was read for incidents: written in the transaction
-- of what was read. NULL for a recording that began before this was noted.
CREATE TABLE events_read (
    attempt_id  TEXT NOT NULL REFERENCES attempts (id),
    epoch       INTEGER NOT NULL,
    next        INTEGER,
    PRIMARY KEY (attempt_id, epoch)
) STRICT;
INSERT INTO events_read (attempt_id, epoch, next) SELECT attempt_id, epoch, NULL FROM recordings;
