-- +goose Up
-- The default stands for rows that were there before: the program always gives a value.
ALTER TABLE credentials ADD COLUMN workload TEXT NOT NULL DEFAULT 'null'; -- document

-- Which credential a workload elsewhere stands for: one at a time, whoever's it is.
CREATE TABLE workload_bindings (
    mark       BLOB PRIMARY KEY,
    credential TEXT NOT NULL
) STRICT;
