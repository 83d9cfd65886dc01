-- +goose Up
CREATE TABLE probings (
    organization TEXT COLLATE "C" PRIMARY KEY,
    probing      TEXT COLLATE "C" NOT NULL, -- document
    version      BIGINT NOT NULL
);
