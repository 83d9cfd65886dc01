-- +goose Up
-- The defaults are for the rows that are there; what is written from now on names every column.

ALTER TABLE requests ADD COLUMN more TEXT NOT NULL DEFAULT '{}'; -- document
ALTER TABLE requests ADD COLUMN due INTEGER NOT NULL DEFAULT 0; -- when something happens by itself; also the end of a lease
CREATE INDEX requests_due ON requests (due, id) WHERE state = 'open' AND due > 0;

ALTER TABLE grants ADD COLUMN more TEXT NOT NULL DEFAULT '{}'; -- document

CREATE TABLE absences (
    id       TEXT PRIMARY KEY,
    person   TEXT NOT NULL,
    stand_in TEXT NOT NULL,
    starts   INTEGER NOT NULL,
    ends     INTEGER NOT NULL,
    ended    INTEGER NOT NULL,
    version  INTEGER NOT NULL
) STRICT;
CREATE INDEX absences_of ON absences (person, id);
CREATE INDEX absences_for ON absences (stand_in, id);
