-- +goose Up
-- The day, since 1970 in UTC, on which a credential was last used, or made: what nobody uses is found by it, however many there
-- are, and it is written once a day at most.
ALTER TABLE credentials ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
UPDATE credentials SET seen = GREATEST(created, COALESCE((SELECT MAX(u.last) FROM credential_uses u WHERE u.credential = credentials.id), 0)) / 86400000000;
CREATE INDEX credentials_seen ON credentials (seen, id) WHERE state IN ('active', 'retiring');
CREATE INDEX credentials_seen_of ON credentials (organization, seen, id) WHERE state IN ('active', 'retiring');
