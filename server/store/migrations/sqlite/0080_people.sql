-- Logins are stored folded, so that whoever types one in capitals gets in. What cannot be folded
-- without taking another's login stays as it is.
UPDATE OR IGNORE people SET login = lower(trim(login)) WHERE login <> lower(trim(login));
