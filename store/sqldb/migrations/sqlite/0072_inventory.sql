-- +goose Up
-- When a client's secret was last replaced, and the thumbprint of a certificate's key. The defaults stand for rows that were there
-- before: the program always gives values.
ALTER TABLE credentials ADD COLUMN secret_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE credentials ADD COLUMN key_print TEXT NOT NULL DEFAULT '';

-- By what else than a secret of ours credentials are proven: keys, certificates, addresses of keys, subjects elsewhere. Whoever
-- looks for the same one in two places reads it.
CREATE TABLE credential_proofs (
    proof      TEXT NOT NULL,
    credential TEXT NOT NULL,
    PRIMARY KEY (proof, credential)
) STRICT;
CREATE INDEX credential_proofs_of ON credential_proofs (credential);

-- The inventory lists what is not revoked, of everybody and of one organization: most of an old table is.
CREATE INDEX credentials_alive ON credentials (id) WHERE state <> 'revoked';
CREATE INDEX credentials_alive_of ON credentials (organization, id) WHERE state <> 'revoked';
