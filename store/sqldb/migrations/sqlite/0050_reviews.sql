-- +goose Up
CREATE TABLE reviews (
    id      TEXT PRIMARY KEY,
    state   TEXT NOT NULL,
    review  TEXT NOT NULL, -- document
    version INTEGER NOT NULL
) STRICT;
CREATE TABLE review_items (
    id           TEXT PRIMARY KEY,
    review       TEXT NOT NULL REFERENCES reviews (id),
    organization TEXT NOT NULL,
    grant_id     TEXT NOT NULL,
    state        TEXT NOT NULL,
    item         TEXT NOT NULL, -- document
    version      INTEGER NOT NULL
) STRICT;
CREATE INDEX review_items_of ON review_items (review, state, id);
CREATE INDEX review_items_of_organization ON review_items (organization, state, id);
CREATE INDEX review_items_of_grant ON review_items (grant_id, state);
