-- +goose Up
-- The secret of a client that another one has replaced, and until when it counts. The defaults stand for rows that were there
-- before: the program always gives values.
ALTER TABLE credentials ADD COLUMN earlier_hash BLOB NOT NULL DEFAULT X'0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE credentials ADD COLUMN earlier_until INTEGER NOT NULL DEFAULT 0;
