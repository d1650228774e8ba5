-- Each change of an admission takes the next number, so that a running server finds what another
-- process or page changed since it last looked, without reading the whole list.
CREATE TABLE admission_versions (
    institution_id  TEXT PRIMARY KEY NOT NULL REFERENCES institutions (id),
    version         INTEGER NOT NULL
) STRICT;
ALTER TABLE admissions ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
CREATE INDEX admissions_by_version ON admissions (version);

CREATE TRIGGER admissions_added AFTER INSERT ON admissions BEGIN
    INSERT INTO admission_versions (institution_id, version) VALUES (NEW.institution_id, 1)
        ON CONFLICT (institution_id) DO UPDATE SET version = version + 1;
    UPDATE admissions SET version = (SELECT version FROM admission_versions
        WHERE institution_id = NEW.institution_id)
        WHERE sitting_id = NEW.sitting_id AND person_id = NEW.person_id;
END;

CREATE TRIGGER admissions_changed
AFTER UPDATE OF admitted, reason, extra_minutes, accessibility, allowances ON admissions BEGIN
    INSERT INTO admission_versions (institution_id, version) VALUES (NEW.institution_id, 1)
        ON CONFLICT (institution_id) DO UPDATE SET version = version + 1;
    UPDATE admissions SET version = (SELECT version FROM admission_versions
        WHERE institution_id = NEW.institution_id)
        WHERE sitting_id = NEW.sitting_id AND person_id = NEW.person_id;
END;
