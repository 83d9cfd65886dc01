-- +goose Up
-- The defaults are for the rows that are there; what is written from now on names every column.

ALTER TABLE requests ADD COLUMN more TEXT COLLATE "C" NOT NULL DEFAULT '{}'; -- document
ALTER TABLE requests ADD COLUMN due BIGINT NOT NULL DEFAULT 0; -- when something happens by itself; also the end of a lease
CREATE INDEX requests_due ON requests (due, id) WHERE state = 'open' AND due > 0;

ALTER TABLE grants ADD COLUMN more TEXT COLLATE "C" NOT NULL DEFAULT '{}'; -- document

CREATE TABLE absences (
    id       TEXT COLLATE "C" PRIMARY KEY,
    person   TEXT COLLATE "C" NOT NULL,
    stand_in TEXT COLLATE "C" NOT NULL,
    starts   BIGINT NOT NULL,
    ends     BIGINT NOT NULL,
    ended    BIGINT NOT NULL,
    version  BIGINT NOT NULL
);
CREATE INDEX absences_of ON absences (person, id);
CREATE INDEX absences_for ON absences (stand_in, id);
