-- Which model files scored an incident, each with its SHA-256; empty where no model did.
ALTER TABLE incidents ADD COLUMN models TEXT NOT NULL DEFAULT '';
