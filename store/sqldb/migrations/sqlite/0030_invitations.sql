-- +goose Up
CREATE TABLE invitations (
    id           TEXT PRIMARY KEY,
    organization TEXT NOT NULL, -- '' for staff
    email        TEXT NOT NULL,
    roles        TEXT NOT NULL, -- document
    by_person    TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    created      INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    accepted     INTEGER NOT NULL,
    person       TEXT NOT NULL,
    withdrawn    INTEGER NOT NULL,
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX invitations_of ON invitations (organization, id);
