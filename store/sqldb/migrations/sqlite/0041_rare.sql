-- +goose Up
-- Lists that pick few of many: without these, a list of what is rare reads everything there is.
CREATE INDEX grants_by_state ON grants (state, id);
CREATE INDEX grants_in ON grants (environment, id);
CREATE INDEX requests_in ON requests (environment, id);
CREATE INDEX audit_of_action ON audit_entries (action, seq);
