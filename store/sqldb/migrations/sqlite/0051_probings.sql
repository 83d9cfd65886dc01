-- +goose Up
CREATE TABLE probings (
    organization TEXT PRIMARY KEY,
    probing      TEXT NOT NULL, -- document
    version      INTEGER NOT NULL
) STRICT;
