-- +goose Up
-- The default stands for rows that were there before: the program always gives a value.
ALTER TABLE credentials ADD COLUMN cert_name TEXT COLLATE "C" NOT NULL DEFAULT 'null'; -- document
