-- +goose Up
-- Who has a duty that one process has at a time.
CREATE TABLE leases (
    name   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL, -- '': nobody
    mark   TEXT COLLATE "C" NOT NULL,
    token  BIGINT NOT NULL,
    beat   BIGINT NOT NULL
);

-- The lowest schema version that a program must know to serve with this schema. Migrations that only add leave it as it is, so
-- that the release before goes on; one that takes away or changes what that release uses sets it to its own number.
CREATE TABLE schema_floor (
    floor BIGINT NOT NULL
);
INSERT INTO schema_floor (floor) VALUES (95);
