-- +goose Up
-- What gateways have let through in the periods of quotas: telemetry. Each life of a gateway has a row, whose count only grows.
CREATE TABLE quota_tallies (
    environment TEXT COLLATE "C" NOT NULL,
    grant_id    TEXT COLLATE "C" NOT NULL,
    period      TEXT COLLATE "C" NOT NULL,
    begins      BIGINT NOT NULL,
    gateway     TEXT COLLATE "C" NOT NULL,
    life        TEXT COLLATE "C" NOT NULL,
    calls       BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (grant_id, period, begins, environment, gateway, life)
);

CREATE INDEX quota_tallies_by_begin ON quota_tallies (begins);
