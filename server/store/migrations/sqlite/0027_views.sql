-- An incident's moment counts on the timeline of its epoch's recording.
ALTER TABLE incidents ADD COLUMN epoch INTEGER NOT NULL DEFAULT 1;

-- A view of a recording stands once for each sign-in, however many ranges a browser asks for.
ALTER TABLE custody ADD COLUMN sign_in TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX custody_views ON custody (attempt_id, person_id, sign_in, action, detail)
    WHERE sign_in <> '';
