-- +goose Up
-- The newest batch that was taken of each numbering of a gateway.
CREATE TABLE uplink_batches (
    environment TEXT NOT NULL,
    gateway     TEXT NOT NULL,
    kind        TEXT NOT NULL,
    life        TEXT NOT NULL,
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (environment, gateway, kind, life)
) STRICT;
