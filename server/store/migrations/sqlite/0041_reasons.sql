-- Why an incident was raised: the highest score that was told of it, and from which score it counted.
-- NULL where nothing was scored, or it was raised before this was kept.
ALTER TABLE incidents ADD COLUMN score REAL;
ALTER TABLE incidents ADD COLUMN threshold REAL;
