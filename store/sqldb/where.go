package sqldb

import (
	"strconv"
	"strings"
)

// where is the conditions of a list: one for each field that its filter sets, so that each combination is a statement with
// a plan of its own. A single text with "$1 = ” OR …" would read the whole table.
type where struct {
	text string
	args []any
}

// and adds a condition in which $ stands for the value. An empty text sets none.
func (w *where) and(condition, value string) {
	if value != "" {
		w.must(condition, value)
	}
}

// must adds a condition whatever the value.
func (w *where) must(condition string, value any) {
	w.has(strings.ReplaceAll(condition, "$", w.add(value)))
}

// has adds a condition without a value.
func (w *where) has(condition string) {
	if w.text == "" {
		w.text = ` WHERE ` + condition
	} else {
		w.text += ` AND ` + condition
	}
}

// add makes the value an argument and returns how it is written.
func (w *where) add(value any) string {
	w.args = append(w.args, value)
	return "$" + strconv.Itoa(len(w.args))
}

// page ends the text of a list that is paged by ID.
func (w *where) page(after string, limit int) string {
	w.and(`id > $`, after)
	return w.text + ` ORDER BY id LIMIT ` + w.add(first(limit))
}
