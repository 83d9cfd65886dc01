-- +goose Up
-- Telemetry: what was turned away that called as a gateway, or wanted to become one, and why.
CREATE TABLE gateway_refusals (
    environment TEXT NOT NULL,
    gateway     TEXT NOT NULL,
    address     TEXT NOT NULL,
    code        TEXT NOT NULL,
    id          TEXT NOT NULL,
    text        TEXT NOT NULL,
    version     TEXT NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    times       INTEGER NOT NULL,
    PRIMARY KEY (environment, gateway, address, code)
) STRICT;

CREATE INDEX gateway_refusals_by_time ON gateway_refusals (last);
