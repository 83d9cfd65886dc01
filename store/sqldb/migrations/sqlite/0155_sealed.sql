-- +goose Up
-- An entry is found by these once it is sealed, and by audit_unsealed until then: so each is written in them once.
DROP INDEX audit_of_object;
CREATE INDEX audit_of_object ON audit_entries (object, seq) WHERE seq IS NOT NULL;
DROP INDEX audit_of_application;
CREATE INDEX audit_of_application ON audit_entries (application, seq) WHERE seq IS NOT NULL;
DROP INDEX audit_of_organization;
CREATE INDEX audit_of_organization ON audit_entries (organization, seq) WHERE seq IS NOT NULL;
DROP INDEX audit_of_action;
CREATE INDEX audit_of_action ON audit_entries (action, seq) WHERE seq IS NOT NULL;
DROP INDEX audit_of_actor;
CREATE INDEX audit_of_actor ON audit_entries (actor, seq) WHERE seq IS NOT NULL;
