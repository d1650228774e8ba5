-- What does not count against a candidate, and what was in force once they had checked in.
ALTER TABLE admissions ADD COLUMN allowances TEXT NOT NULL DEFAULT '[]';
-- NULL until check-in: the policy that the candidate was told of before consent.
ALTER TABLE attempts ADD COLUMN watch TEXT;
-- 0 for what was seen of a kind that does not count in the attempt: it stays on record, and nobody
-- has to judge it.
ALTER TABLE incidents ADD COLUMN counts INTEGER NOT NULL DEFAULT 1;
