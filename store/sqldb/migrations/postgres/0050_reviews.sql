-- +goose Up
CREATE TABLE reviews (
    id      TEXT COLLATE "C" PRIMARY KEY,
    state   TEXT COLLATE "C" NOT NULL,
    review  TEXT COLLATE "C" NOT NULL, -- document
    version BIGINT NOT NULL
);
CREATE TABLE review_items (
    id           TEXT COLLATE "C" PRIMARY KEY,
    review       TEXT COLLATE "C" NOT NULL REFERENCES reviews (id),
    organization TEXT COLLATE "C" NOT NULL,
    grant_id     TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    item         TEXT COLLATE "C" NOT NULL, -- document
    version      BIGINT NOT NULL
);
CREATE INDEX review_items_of ON review_items (review, state, id);
CREATE INDEX review_items_of_organization ON review_items (organization, state, id);
CREATE INDEX review_items_of_grant ON review_items (grant_id, state);
