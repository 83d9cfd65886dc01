-- +goose Up
-- When each life of a gateway began, so that the counts of lives that are over can be put together; 0: its gateway does not say.
ALTER TABLE quota_tallies ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;

CREATE INDEX quota_tallies_by_gateway ON quota_tallies (environment, gateway, begun);

-- Since which life each gateway is alone: nothing more is taken from those that began before.
CREATE TABLE quota_lives (
    environment TEXT COLLATE "C" NOT NULL,
    gateway     TEXT COLLATE "C" NOT NULL,
    alone       BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (environment, gateway)
);
