-- +goose Up
-- A fence for processes of a release that knows no regions and runs on when the first one is added. Such a one would number what
-- is committed for the environments alone, and make gateways that are told what is pinned. Whoever knows regions writes beside each
-- beat of a duty which one it is; the release before knows no such column, so its beats are refused, with what it does in the same transaction.
ALTER TABLE leases ADD COLUMN fenced INTEGER NOT NULL DEFAULT 0; -- the beat, once more
UPDATE schema_floor SET floor = 163 WHERE floor >= 130; -- those that knew regions and no fence

-- +goose StatementBegin
CREATE TRIGGER leases_fence_first BEFORE INSERT ON leases
WHEN NEW.fenced <> NEW.beat AND (SELECT MAX(floor) FROM schema_floor) >= 130
BEGIN
    SELECT RAISE(ABORT, 'this release of Gatehouse knows no regions, and there are some: stop this process, and start the release that the others run');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER leases_fence BEFORE UPDATE ON leases
WHEN NEW.fenced <> NEW.beat AND (SELECT MAX(floor) FROM schema_floor) >= 130
BEGIN
    SELECT RAISE(ABORT, 'this release of Gatehouse knows no regions, and there are some: stop this process, and start the release that the others run');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER gateways_fence BEFORE INSERT ON gateways
WHEN NEW.state = 'active' AND NEW.region = '' AND EXISTS (SELECT 1 FROM organizations WHERE region <> '')
BEGIN
    SELECT RAISE(ABORT, 'organizations are pinned to regions, so no gateway joins without one: this release of Gatehouse knows no regions, stop this process');
END;
-- +goose StatementEnd
