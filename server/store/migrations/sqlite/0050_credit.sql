-- How much time under cover was given back under a bound, by cause: whole milliseconds (finding M9).
ALTER TABLE attempts ADD COLUMN credited_by TEXT NOT NULL DEFAULT '{}';
