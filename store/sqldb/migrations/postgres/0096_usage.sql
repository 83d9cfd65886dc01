-- +goose Up
-- How often applications call: telemetry. A series is an environment, application, grant and operation; its number is a hash of
-- them.
CREATE TABLE usage_series (
    series      BIGINT NOT NULL PRIMARY KEY,
    environment TEXT COLLATE "C" NOT NULL,
    application TEXT COLLATE "C" NOT NULL,
    grant_id    TEXT COLLATE "C" NOT NULL, -- '' where none was needed
    api         TEXT COLLATE "C" NOT NULL,
    operation   TEXT COLLATE "C" NOT NULL
);
CREATE INDEX usage_series_of_application ON usage_series (application);
CREATE INDEX usage_series_of_grant ON usage_series (grant_id);

CREATE TABLE usage_minutes (
    series BIGINT NOT NULL,
    at     BIGINT NOT NULL, -- its beginning
    status BIGINT NOT NULL,
    calls  BIGINT NOT NULL,
    PRIMARY KEY (series, at, status)
) WITH (fillfactor = 90);
CREATE INDEX usage_minutes_at ON usage_minutes USING brin (at);

CREATE TABLE usage_hours (
    series BIGINT NOT NULL,
    at     BIGINT NOT NULL, -- its beginning
    status BIGINT NOT NULL,
    calls  BIGINT NOT NULL,
    PRIMARY KEY (series, at, status)
) WITH (fillfactor = 90);
CREATE INDEX usage_hours_at ON usage_hours USING brin (at);

CREATE TABLE usage_days (
    series BIGINT NOT NULL,
    at     BIGINT NOT NULL, -- its beginning
    status BIGINT NOT NULL,
    calls  BIGINT NOT NULL,
    PRIMARY KEY (series, at, status)
) WITH (fillfactor = 90);
CREATE INDEX usage_days_at ON usage_days USING brin (at);

-- Calls that gateways could not count by application, by the hour.
CREATE TABLE usage_lost (
    environment TEXT COLLATE "C" NOT NULL,
    gateway     TEXT COLLATE "C" NOT NULL,
    at          BIGINT NOT NULL,
    calls       BIGINT NOT NULL,
    PRIMARY KEY (environment, gateway, at)
);
