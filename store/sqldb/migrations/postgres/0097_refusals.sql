-- +goose Up
-- Telemetry: what was turned away that called as a gateway, or wanted to become one, and why.
CREATE TABLE gateway_refusals (
    environment TEXT COLLATE "C" NOT NULL,
    gateway     TEXT COLLATE "C" NOT NULL,
    address     TEXT COLLATE "C" NOT NULL,
    code        TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    text        TEXT COLLATE "C" NOT NULL,
    version     TEXT COLLATE "C" NOT NULL,
    first       BIGINT NOT NULL,
    last        BIGINT NOT NULL,
    times       BIGINT NOT NULL,
    PRIMARY KEY (environment, gateway, address, code)
);

CREATE INDEX gateway_refusals_by_time ON gateway_refusals (last);
