-- +goose Up
-- When each life of a gateway began, so that the counts of lives that are over can be put together; 0: its gateway does not say.
ALTER TABLE quota_tallies ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;

CREATE INDEX quota_tallies_by_gateway ON quota_tallies (environment, gateway, begun);

-- Since which life each gateway is alone: nothing more is taken from those that began before.
CREATE TABLE quota_lives (
    environment TEXT NOT NULL,
    gateway     TEXT NOT NULL,
    alone       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (environment, gateway)
) STRICT;
