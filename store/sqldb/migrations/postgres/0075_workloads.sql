-- +goose Up
-- The default stands for rows that were there before: the program always gives a value.
ALTER TABLE credentials ADD COLUMN workload TEXT COLLATE "C" NOT NULL DEFAULT 'null'; -- document

-- Which credential a workload elsewhere stands for: one at a time, whoever's it is.
CREATE TABLE workload_bindings (
    mark       BYTEA PRIMARY KEY,
    credential TEXT COLLATE "C" NOT NULL
);
