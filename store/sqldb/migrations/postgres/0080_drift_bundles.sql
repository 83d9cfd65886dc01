-- +goose Up
-- What was read of the newest bundle that was uploaded for an environment.
CREATE TABLE drift_bundles (
    environment TEXT COLLATE "C" PRIMARY KEY,
    at          BIGINT NOT NULL,
    by_person   TEXT COLLATE "C" NOT NULL, -- '' for this host
    bytes       BIGINT NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    seen        TEXT COLLATE "C" NOT NULL -- document
);
