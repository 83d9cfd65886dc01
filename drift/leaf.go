// Package drift compares what different gateways actually enforce on the same operations.
//
// Readers (drift/<gateway>) turn files into an Environment: operations, each with the policy that is effective on it, every
// leaf of which says how it came about and where it stands. Compare finds where environments differ, which side is weaker,
// and how much could not be seen.
package drift

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"gatehouse/fault"
)

// State says how the value of a leaf came about. The zero State is Unresolved: what a reader did not fill is not known,
// and never equal to anything.
type State uint8

// The states.
const (
	Unresolved  State = iota // it exists or may exist, and could not be read
	Set                      // written at the operation's own scope
	Default                  // not written; the gateway's default
	Inherited                // written at a wider scope
	Conditional              // depends on an expression that is only known at run time
	Unsupported              // the gateway cannot express it
)

var stateNames = [...]string{"unresolved", "set", "default", "inherited", "conditional", "unsupported"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote, and nothing else.
func (s *State) UnmarshalText(b []byte) error {
	for i, n := range stateNames {
		if n == string(b) {
			*s = State(i)
			return nil
		}
	}
	return fault.Bad("", "%q is not a state", b)
}

// Origin is where a value stands.
type Origin struct {
	File    string `json:"file,omitempty"`    // relative to what was read, slash separated
	Line    int    `json:"line,omitempty"`    // from 1; 0 when it is about no line
	Pointer string `json:"pointer,omitempty"` // RFC 6901 into the file, or the path of elements in XML
	Scope   string `json:"scope,omitempty"`   // such as global, service user, product starter, operation get-items
}

func (o Origin) String() string {
	var b strings.Builder
	b.WriteString(o.File)
	if o.Line > 0 {
		fmt.Fprintf(&b, ":%d", o.Line)
	}
	if o.Scope != "" {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("(" + o.Scope + ")")
	}
	return b.String()
}

// Leaf is one value of the model. The Value is meaningful only when the leaf is Known.
type Leaf[T any] struct {
	Value  T      `json:"value"`
	State  State  `json:"state"`
	Origin Origin `json:"origin,omitzero"`
	Cause  string `json:"cause,omitempty"` // why it is conditional, unresolved or unsupported
}

// Is is a value written at its own scope.
func Is[T any](v T, o Origin) Leaf[T] { return Leaf[T]{Value: v, State: Set, Origin: o} }

// ByDefault is a gateway's default.
func ByDefault[T any](v T) Leaf[T] { return Leaf[T]{Value: v, State: Default} }

// From is a value written at a wider scope.
func From[T any](v T, o Origin) Leaf[T] { return Leaf[T]{Value: v, State: Inherited, Origin: o} }

// DependsOn is a value that an expression decides at run time; v is what is known of it.
func DependsOn[T any](v T, cause string, o Origin) Leaf[T] {
	return Leaf[T]{Value: v, State: Conditional, Origin: o, Cause: Mask(cause)}
}

// Unknown is a value that could not be read.
func Unknown[T any](cause string, o Origin) Leaf[T] {
	return Leaf[T]{State: Unresolved, Origin: o, Cause: Mask(cause)}
}

// Impossible is a value that the gateway has no way to express.
func Impossible[T any](cause string) Leaf[T] { return Leaf[T]{State: Unsupported, Cause: cause} }

// Known reports whether Value is the value that is in force.
func (l Leaf[T]) Known() bool { return l.State == Set || l.State == Default || l.State == Inherited }

// Definite reports whether it is certain what is in force: a known value, or certainly none.
func (l Leaf[T]) Definite() bool { return l.Known() || l.State == Unsupported }

// Or returns the value when it is known, and v otherwise.
func (l Leaf[T]) Or(v T) T {
	if l.Known() {
		return l.Value
	}
	return v
}

// Narrowed returns l as a narrower scope sees it: what was Set is Inherited.
func (l Leaf[T]) Narrowed() Leaf[T] {
	if l.State == Set {
		l.State = Inherited
	}
	return l
}

// Fact is a leaf whatever its type, as coverage and reports see it.
type Fact interface {
	How() (State, Origin, string) // state, origin, cause
	Text() string                 // the value for people, masked
}

// How implements Fact.
func (l Leaf[T]) How() (State, Origin, string) { return l.State, l.Origin, l.Cause }

// Text implements Fact.
func (l Leaf[T]) Text() string {
	switch l.State {
	case Unsupported:
		return "cannot be expressed"
	case Unresolved:
		return "not known"
	}
	s := fmt.Sprint(l.Value)
	if s == "[]" || s == "" {
		s = "none"
	}
	return Mask(s)
}

// UnmarshalJSON reads a leaf whole, or a bare value as one that is Set, which is how people write a baseline.
func (l *Leaf[T]) UnmarshalJSON(b []byte) error {
	type whole Leaf[T]
	var w whole
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) && bytes.Contains(b, []byte(`"state"`)) {
		if err := d.Decode(&w); err != nil {
			return err
		}
		*l = Leaf[T](w)
		return nil
	}
	if err := d.Decode(&w.Value); err != nil {
		return err
	}
	w.State = Set
	*l = Leaf[T](w)
	return nil
}
