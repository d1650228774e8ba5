-- The server's own record of when a lease was valid, by its clock of the day. While a span runs,
-- seen_ms is the newest moment at which it was known to be valid: after a crash it is its end.
CREATE TABLE lease_spans (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    began_ms        INTEGER NOT NULL,
    seen_ms         INTEGER NOT NULL,
    ended_ms        INTEGER
) STRICT;
CREATE INDEX lease_spans_by_attempt ON lease_spans (attempt_id, began_ms);

-- What that record said of a response at its arrival, how late it may be at most (NULL in time, or
-- without any lease on record), and when a later entry of its chain arrived in time.
ALTER TABLE responses ADD COLUMN mark TEXT NOT NULL DEFAULT 'in_time'
    CHECK (mark IN ('in_time', 'after_cover', 'after_end', 'own_word'));
ALTER TABLE responses ADD COLUMN late_ms INTEGER;
ALTER TABLE responses ADD COLUMN confirmed_ms INTEGER;
UPDATE responses SET mark = 'own_word', late_ms = -lease_left_ms WHERE after_lease = 1;
CREATE INDEX responses_late ON responses (attempt_id, epoch, seq) WHERE mark != 'in_time';

-- Decisions of people on late responses; the newest of an entry holds, none is ever removed.
CREATE TABLE response_decisions (
    id              INTEGER PRIMARY KEY,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    counts          INTEGER NOT NULL CHECK (counts IN (0, 1)),
    reason          TEXT NOT NULL,
    decided_by      TEXT NOT NULL REFERENCES people (id),
    decided_ms      INTEGER NOT NULL
) STRICT;
CREATE INDEX response_decisions_by_entry ON response_decisions (attempt_id, epoch, seq, id);

-- Which item left when, under which lease: one line an item and minute, so that asking without end
-- fills no disk.
CREATE TABLE item_fetches (
    attempt_id      TEXT NOT NULL REFERENCES attempts (id),
    epoch           INTEGER NOT NULL,
    position        INTEGER NOT NULL,
    minute          INTEGER NOT NULL,
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    person_id       TEXT NOT NULL REFERENCES people (id),
    item_id         TEXT NOT NULL,
    at_ms           INTEGER NOT NULL,
    lease_ends_ms   INTEGER NOT NULL,
    fetches         INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (attempt_id, epoch, position, minute)
) STRICT;
-- Finds a newer response to the same item.
CREATE INDEX responses_by_item ON responses (attempt_id, item_id, epoch, seq);

-- Late responses that count by nobody's decision yet.
CREATE VIEW responses_waiting AS
SELECT r.attempt_id, r.epoch, r.seq FROM responses r
WHERE r.mark != 'in_time' AND (r.confirmed_ms IS NULL OR r.mark = 'own_word')
    AND NOT EXISTS (SELECT 1 FROM response_decisions o
        WHERE o.attempt_id = r.attempt_id AND o.epoch = r.epoch AND o.seq = r.seq);
