-- +goose Up
-- What is left of entries of feeds that are old and superseded: that they were there.
CREATE TABLE feed_marks (
    feed      TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    digest    TEXT NOT NULL,
    committed INTEGER NOT NULL,
    PRIMARY KEY (feed, seq)
) STRICT;

-- How far each feed was gone through for such entries, and the newest that was taken out: after it the feed is whole.
CREATE TABLE feed_forgotten (
    feed    TEXT NOT NULL PRIMARY KEY,
    looked  INTEGER NOT NULL,
    through INTEGER NOT NULL
) STRICT;
