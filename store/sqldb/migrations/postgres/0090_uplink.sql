-- +goose Up
-- The newest batch that was taken of each numbering of a gateway.
CREATE TABLE uplink_batches (
    environment TEXT COLLATE "C" NOT NULL,
    gateway     TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    life        TEXT COLLATE "C" NOT NULL,
    number      BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (environment, gateway, kind, life)
);
