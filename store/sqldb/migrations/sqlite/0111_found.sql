-- +goose Up
-- Grants by their end, whatever else is asked; and lists of one environment that pick a state.
CREATE INDEX grants_by_end ON grants (state, ends, id);
CREATE INDEX grants_in_state ON grants (environment, state, id);
CREATE INDEX requests_in_state ON requests (environment, state, id);
