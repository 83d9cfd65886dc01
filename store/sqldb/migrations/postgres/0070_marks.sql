-- +goose Up
-- What may be used once and was: assertions of clients and DPoP proofs at the token endpoint.
CREATE TABLE marks (
    mark    BYTEA PRIMARY KEY,
    expires BIGINT NOT NULL
);
CREATE INDEX marks_over ON marks (expires);
