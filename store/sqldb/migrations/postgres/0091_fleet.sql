-- +goose Up
CREATE TABLE gateways (
    id          TEXT COLLATE "C" PRIMARY KEY,
    environment TEXT COLLATE "C" NOT NULL REFERENCES environments (name),
    name        TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    key_digest  TEXT COLLATE "C" NOT NULL,
    created     BIGINT NOT NULL,
    created_by  TEXT COLLATE "C" NOT NULL,
    expires     BIGINT NOT NULL,
    ended       BIGINT NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL
);
CREATE UNIQUE INDEX gateways_active ON gateways (environment, name) WHERE state = 'active';

-- The right to become one, once.
CREATE TABLE gateway_enrolments (
    id          TEXT COLLATE "C" PRIMARY KEY,
    environment TEXT COLLATE "C" NOT NULL REFERENCES environments (name),
    name        TEXT COLLATE "C" NOT NULL,
    hash        BYTEA NOT NULL UNIQUE,
    created     BIGINT NOT NULL,
    created_by  TEXT COLLATE "C" NOT NULL,
    expires     BIGINT NOT NULL,
    used        BIGINT NOT NULL,
    gateway     TEXT COLLATE "C" NOT NULL,
    version     BIGINT NOT NULL
);

-- Their keys are made again from their numbers.
CREATE TABLE gateway_anchors (
    number BIGINT PRIMARY KEY,
    made   BIGINT NOT NULL,
    signs  BIGINT NOT NULL,
    ends   BIGINT NOT NULL
);

-- Telemetry: what is known of a gateway by its connection.
CREATE TABLE gateway_sightings (
    environment TEXT COLLATE "C" NOT NULL,
    gateway     TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    version     TEXT COLLATE "C" NOT NULL,
    protocol    BIGINT NOT NULL,
    address     TEXT COLLATE "C" NOT NULL,
    skew        BIGINT NOT NULL, -- microseconds
    heard       BIGINT NOT NULL,
    connected   BIGINT NOT NULL,
    trouble     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (environment, gateway)
);
