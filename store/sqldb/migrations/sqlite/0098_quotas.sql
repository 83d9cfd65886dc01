-- +goose Up
-- What gateways have let through in the periods of quotas: telemetry. Each life of a gateway has a row, whose count only grows.
CREATE TABLE quota_tallies (
    environment TEXT NOT NULL,
    grant_id    TEXT NOT NULL,
    period      TEXT NOT NULL,
    begins      INTEGER NOT NULL,
    gateway     TEXT NOT NULL,
    life        TEXT NOT NULL,
    calls       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (grant_id, period, begins, environment, gateway, life)
) STRICT;

CREATE INDEX quota_tallies_by_begin ON quota_tallies (begins);
