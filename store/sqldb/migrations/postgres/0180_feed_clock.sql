-- +goose Up
-- Of when the feeds are, as the process that numbers says each second, signed: a standby that is read shows by it how far behind it is.
CREATE TABLE feed_clock (
    id        BIGINT PRIMARY KEY CHECK (id = 1),
    word      TEXT NOT NULL,
    signature BYTEA NOT NULL
);
