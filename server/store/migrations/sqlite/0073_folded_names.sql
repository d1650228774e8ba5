-- Name and login in lower case, by which people are searched and sorted in SQL: SQLite folds Latin
-- letters alone. NULL is filled when the server first opens the database after this.
ALTER TABLE people ADD COLUMN folded TEXT;
CREATE INDEX people_by_folded ON people (folded);
