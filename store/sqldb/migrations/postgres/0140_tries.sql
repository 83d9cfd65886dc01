-- +goose Up
-- What is limited for all processes together, such as wrong passwords: a bucket that empties with time. Telemetry; the mark says nothing of
-- whose it is.
CREATE TABLE tries (
    mark    BYTEA PRIMARY KEY,
    empties BIGINT NOT NULL
);
CREATE INDEX tries_over ON tries (empties);
