-- +goose Up
-- What is left of entries of feeds that are old and superseded: that they were there.
CREATE TABLE feed_marks (
    feed      TEXT COLLATE "C" NOT NULL,
    seq       BIGINT NOT NULL,
    epoch     BIGINT NOT NULL,
    digest    TEXT COLLATE "C" NOT NULL,
    committed BIGINT NOT NULL,
    PRIMARY KEY (feed, seq)
);

-- How far each feed was gone through for such entries, and the newest that was taken out: after it the feed is whole.
CREATE TABLE feed_forgotten (
    feed    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    looked  BIGINT NOT NULL,
    through BIGINT NOT NULL
);
