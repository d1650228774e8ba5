-- Which proctors watch and review a sitting (M12). Who could see a sitting before this still can.
CREATE TABLE sitting_proctors (
    sitting_id      TEXT NOT NULL REFERENCES sittings (id),
    person_id       TEXT NOT NULL REFERENCES people (id),
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    assigned_by     TEXT NOT NULL,
    assigned_ms     INTEGER NOT NULL,
    PRIMARY KEY (sitting_id, person_id)
) STRICT;
CREATE INDEX sitting_proctors_by_person ON sitting_proctors (person_id, sitting_id);

INSERT INTO sitting_proctors (sitting_id, person_id, institution_id, assigned_by, assigned_ms)
    SELECT s.id, r.person_id, s.institution_id, 'migration', s.created_ms
    FROM sittings s JOIN staff_roles r
    ON r.institution_id = s.institution_id AND r.role = 'proctor';

-- Lists of attempts and sittings are read a page at a time.
CREATE INDEX attempts_by_sitting ON attempts (sitting_id, phase_word);
CREATE INDEX sittings_by_opening ON sittings (opens_ms);
CREATE INDEX sittings_by_exam ON sittings (exam_id, opens_ms);
CREATE INDEX acts_by_time ON acts (registered_ms);
