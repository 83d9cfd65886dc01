-- +goose Up
-- Counts of a stretch that is over (a day of hours, a month of days): one row for each series and status, written application by
-- application, so that what is read together lies together. What is added later lies in usage_hours and usage_days until it is folded
-- too: an answer is the sum of both. The release before goes on with usage_hours and usage_days alone: beside this one it forgets
-- what is too old there and shows nothing that is folded.
CREATE TABLE usage_hours_folded (
    series INTEGER NOT NULL,
    at     INTEGER NOT NULL, -- the beginning of the day
    status INTEGER NOT NULL,
    calls  BLOB NOT NULL, -- of each hour
    PRIMARY KEY (series, at, status)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_hours_folded_at ON usage_hours_folded (at);

CREATE TABLE usage_days_folded (
    series INTEGER NOT NULL,
    at     INTEGER NOT NULL, -- the beginning of the month
    status INTEGER NOT NULL,
    calls  BLOB NOT NULL, -- of each day
    PRIMARY KEY (series, at, status)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_days_folded_at ON usage_days_folded (at);
