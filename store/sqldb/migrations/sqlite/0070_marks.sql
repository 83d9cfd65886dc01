-- +goose Up
-- What may be used once and was: assertions of clients and DPoP proofs at the token endpoint.
CREATE TABLE marks (
    mark    BLOB PRIMARY KEY,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX marks_over ON marks (expires);
