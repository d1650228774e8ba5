-- What a session was signed in with, which places an account is known at, and when a code that was
-- handed out ends.

-- The password was a one-time one: nothing but another password can be set.
ALTER TABLE tokens ADD COLUMN one_time INTEGER NOT NULL DEFAULT 0;
-- The second factor was given or set up in this session.
ALTER TABLE tokens ADD COLUMN factor INTEGER NOT NULL DEFAULT 0;
-- The second factor that this session sets up, nonce || ciphertext || tag. It lives for minutes: after
-- a rotation of keys another one is made.
ALTER TABLE tokens ADD COLUMN totp_begun BLOB;
-- Sessions from before do not say what they were signed in with.
UPDATE tokens SET ended_ms = created_ms WHERE kind = 'staff' AND ended_ms IS NULL;

-- A password that was handed out is good until then; NULL is one without an end.
ALTER TABLE credentials ADD COLUMN code_until_ms INTEGER;

-- Where an account signed in before: the key of a device, or the network of a browser. Tries from there
-- are counted apart from those of strangers.
CREATE TABLE sign_in_places (
    person_id       TEXT NOT NULL REFERENCES people (id),
    institution_id  TEXT NOT NULL REFERENCES institutions (id),
    kind            TEXT NOT NULL CHECK (kind IN ('device', 'network')),
    place           BLOB NOT NULL,
    last_ms         INTEGER NOT NULL,
    PRIMARY KEY (person_id, kind, place)
) STRICT;
CREATE INDEX sign_in_places_by_time ON sign_in_places (last_ms);

INSERT INTO sign_in_places (person_id, institution_id, kind, place, last_ms)
    SELECT person_id, institution_id, 'device', device_key, MAX(created_ms) FROM tokens
    WHERE kind = 'client' AND device_key IS NOT NULL GROUP BY person_id, institution_id, device_key;

-- A login is folded where people are imported and where they sign in. Two that differ by case alone are
-- left as they are.
UPDATE OR IGNORE people SET login = lower(trim(login));
