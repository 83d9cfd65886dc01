package sqldb

import (
	"context"

	"gatehouse/fault"
	"gatehouse/store"
)

// Moved is what Move has moved, checked on both sides.
type Moved struct {
	Tables []Table `json:"tables"`
}

// Move copies all that one store holds into another one, which is empty, in one transaction on each side, and then reads both
// again: the same number of rows in each table, and the same digest over them. Anything else is an error, and the second one
// is left empty. Whoever serves from the first one must have stopped, or what it writes meanwhile is not moved.
func Move(ctx context.Context, from, into store.Store) (m Moved, err error) {
	err = from.View(ctx, func(f store.Tx) error {
		a, ok := f.(*tx)
		if !ok {
			return fault.New(fault.Internal, "only databases of our own can be moved")
		}
		return into.Update(ctx, func(i store.Tx) error {
			b, ok := i.(*tx)
			if !ok {
				return fault.New(fault.Internal, "only databases of our own can be moved to")
			}
			if m.Tables, err = transfer(ctx, a, b); err != nil {
				return err
			}
			tables, err := b.tables(ctx)
			if err != nil {
				return err
			}
			there := map[string]Table{}
			for _, t := range tables {
				if there[t.name], err = t.copy(ctx, b, nil); err != nil {
					return err
				}
			}
			for _, t := range m.Tables {
				if there[t.Name] != t {
					return fault.New(fault.Internal, "of %s %d rows were read and %d are there, or they differ: nothing was moved", t.Name, t.Rows, there[t.Name].Rows)
				}
			}
			return nil
		})
	})
	return m, err
}
