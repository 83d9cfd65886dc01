-- +goose Up
CREATE TABLE drift_runs (
    id      TEXT COLLATE "C" PRIMARY KEY,
    at      BIGINT NOT NULL,
    by_person TEXT COLLATE "C" NOT NULL, -- '' for Gatehouse itself
    verdict TEXT COLLATE "C" NOT NULL,
    open    BIGINT NOT NULL,
    worst   TEXT COLLATE "C" NOT NULL,
    fresh   BIGINT NOT NULL,
    result  TEXT COLLATE "C" NOT NULL -- document
);
CREATE TABLE drift_waivers (
    id          TEXT COLLATE "C" PRIMARY KEY,
    rule        TEXT COLLATE "C" NOT NULL,
    finding     TEXT COLLATE "C" NOT NULL, -- '' for all of the rule
    environment TEXT COLLATE "C" NOT NULL, -- '' for all
    owner       TEXT COLLATE "C" NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    by_person   TEXT COLLATE "C" NOT NULL,
    created     BIGINT NOT NULL,
    ends        BIGINT NOT NULL,
    ended       BIGINT NOT NULL,
    version     BIGINT NOT NULL
);
