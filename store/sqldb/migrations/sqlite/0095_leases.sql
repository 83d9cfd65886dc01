-- +goose Up
-- Who has a duty that one process has at a time.
CREATE TABLE leases (
    name   TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL, -- '': nobody
    mark   TEXT NOT NULL,
    token  INTEGER NOT NULL,
    beat   INTEGER NOT NULL
) STRICT;

-- The lowest schema version that a program must know to serve with this schema. Migrations that only add leave it as it is, so
-- that the release before goes on; one that takes away or changes what that release uses sets it to its own number.
CREATE TABLE schema_floor (
    floor INTEGER NOT NULL
) STRICT;
INSERT INTO schema_floor (floor) VALUES (95);
