-- +goose Up
-- How often applications call: telemetry. A series is an environment, application, grant and operation; its number is a hash of
-- them.
CREATE TABLE usage_series (
    series      INTEGER NOT NULL PRIMARY KEY,
    environment TEXT NOT NULL,
    application TEXT NOT NULL,
    grant_id    TEXT NOT NULL, -- '' where none was needed
    api         TEXT NOT NULL,
    operation   TEXT NOT NULL
) STRICT;
CREATE INDEX usage_series_of_application ON usage_series (application);
CREATE INDEX usage_series_of_grant ON usage_series (grant_id);

CREATE TABLE usage_minutes (
    series INTEGER NOT NULL,
    at     INTEGER NOT NULL, -- its beginning
    status INTEGER NOT NULL,
    calls  INTEGER NOT NULL,
    PRIMARY KEY (series, at, status)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_minutes_at ON usage_minutes (at);

CREATE TABLE usage_hours (
    series INTEGER NOT NULL,
    at     INTEGER NOT NULL, -- its beginning
    status INTEGER NOT NULL,
    calls  INTEGER NOT NULL,
    PRIMARY KEY (series, at, status)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_hours_at ON usage_hours (at);

CREATE TABLE usage_days (
    series INTEGER NOT NULL,
    at     INTEGER NOT NULL, -- its beginning
    status INTEGER NOT NULL,
    calls  INTEGER NOT NULL,
    PRIMARY KEY (series, at, status)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_days_at ON usage_days (at);

-- Calls that gateways could not count by application, by the hour.
CREATE TABLE usage_lost (
    environment TEXT NOT NULL,
    gateway     TEXT NOT NULL,
    at          INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    PRIMARY KEY (environment, gateway, at)
) STRICT;
