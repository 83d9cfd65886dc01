-- +goose Up
-- What somebody did is looked for when their data is exported or erased.
CREATE INDEX audit_of_actor ON audit_entries (actor, seq);
CREATE INDEX invitations_to ON invitations (email, id);
