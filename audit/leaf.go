package audit

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"

	"gatehouse/fault"
	"gatehouse/id"
)

// leaf is what of an entry goes into the log, in this order. What is not here can change without anybody noticing, so
// everything is, but for the entry's place, which the tree itself proves, and for personal values, of which the name and the
// commitment are.
type leaf struct {
	Format       int        `json:"v"` // 1
	ID           id.ID      `json:"id"`
	At           int64      `json:"at"` // microseconds since 1970, UTC
	Actor        string     `json:"actor"`
	Action       string     `json:"action"`
	Object       id.ID      `json:"object"`
	Organization id.ID      `json:"organization"`
	Application  id.ID      `json:"application"`
	Environment  string     `json:"environment"`
	Reason       string     `json:"reason"`
	RequestID    string     `json:"request_id"`
	Before       string     `json:"before"` // the JSON text as it is stored, as a string: byte for byte
	After        string     `json:"after"`
	Personal     []leafName `json:"personal"`
}

type leafName struct {
	Name       string `json:"name"`
	Commitment []byte `json:"commitment"` // base64
}

// Leaf is the bytes of the entry in the log: a JSON object in UTF-8 without white space, with the keys "v", "id", "at",
// "actor", "action", "object", "organization", "application", "environment", "reason", "request_id", "before", "after" and
// "personal" in this order and all of them there; times are whole microseconds since 1970; before and after are strings that
// hold the stored JSON text; personal is a list, empty where there is none, of objects with "name" and "commitment", the
// latter in base64 (RFC 4648 §4). In strings only ", \, and the characters below U+0020 and U+2028 and U+2029 are escaped, as
// Go's encoding/json does without HTML escapes. The leaf's hash is that of RFC 6962: SHA-256 of a zero byte and the leaf.
//
// An entry that cannot be written so that it reads back the same, because it holds bytes that are not UTF-8, is fault.Invalid.
func Leaf(e Entry) ([]byte, error) {
	l := leaf{
		Format: 1, ID: e.ID, At: e.At.UnixMicro(), Actor: e.Actor, Action: e.Action, Object: e.Object, Organization: e.Organization,
		Application: e.Application, Environment: e.Environment, Reason: e.Reason, RequestID: e.RequestID,
		Before: string(e.Before), After: string(e.After), Personal: make([]leafName, 0, len(e.Personal)),
	}
	texts := []string{string(l.ID), l.Actor, l.Action, string(l.Object), string(l.Organization), string(l.Application), l.Environment,
		l.Reason, l.RequestID, l.Before, l.After}
	for _, p := range e.Personal {
		l.Personal = append(l.Personal, leafName{p.Name, p.Commitment})
		texts = append(texts, p.Name)
	}
	for _, t := range texts {
		if !utf8.ValidString(t) {
			return nil, fault.New(fault.Invalid, "audit entry %s holds bytes that are not UTF-8", e.ID)
		}
	}
	if e.ID == "" || e.Action == "" || e.At.IsZero() || !e.At.Equal(e.At.Truncate(time.Microsecond)) {
		return nil, fault.New(fault.Invalid, "audit entry %q needs an ID, an action, and a time in whole microseconds", e.ID)
	}
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	if err := w.Encode(l); err != nil {
		return nil, fault.New(fault.Internal, "audit entry %s cannot be encoded", e.ID).Because(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// LeafHash is the hash of the entry's leaf.
func LeafHash(e Entry) ([32]byte, error) {
	b, err := Leaf(e)
	if err != nil {
		return [32]byte{}, err
	}
	return tlog.RecordHash(b), nil
}
