-- Names and logins are folded with their letters composed, so that a search finds them however a system
-- writes them. The server fills NULL when it first opens the database after this.
UPDATE people SET folded = NULL;
