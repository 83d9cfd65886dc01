-- +goose Up
-- What is limited for all processes together, such as wrong passwords: a bucket that empties with time. Telemetry; the mark says nothing of
-- whose it is.
CREATE TABLE tries (
    mark    BLOB PRIMARY KEY,
    empties INTEGER NOT NULL
) STRICT;
CREATE INDEX tries_over ON tries (empties);
