-- +goose Up
CREATE INDEX organizations_by_state ON organizations (state, id);
