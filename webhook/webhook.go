// Package webhook tells partners and the platform of what happens, by Standard Webhooks (version 1 of the specification).
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/secret"
)

// Endpoint is an address that is told. Its secrets sign what is sent; they are kept sealed, and told once.
type Endpoint struct {
	ID           id.ID     `json:"id"`
	Organization id.ID     `json:"organization,omitempty"` // whose events it is told; "" is the platform's, told everything
	URL          string    `json:"url"`
	Kinds        []string  `json:"kinds"` // what it is told: nouns such as "grant"; none: everything
	State        State     `json:"state"`
	Reason       string    `json:"reason,omitempty"` // why it is paused
	Created      time.Time `json:"created"`
	By           id.ID     `json:"by,omitempty"`
	Secret       string    `json:"-"`                  // sealed
	Old          string    `json:"-"`                  // the one before, sealed: it signs too until OldUntil
	OldUntil     time.Time `json:"old_until,omitzero"` // the end of a rotation's overlap
	Version      int64     `json:"version"`
}

// State of an endpoint.
type State string

// The states of endpoints.
const (
	Active State = "active"
	Paused State = "paused" // nothing new is sent; what waits is given up
	Ended  State = "ended"  // for good
)

// Wants reports whether the endpoint is told of the event, such as "grant.suspend".
func (e Endpoint) Wants(event string) bool {
	noun, _, _ := strings.Cut(event, ".")
	return e.State == Active && (len(e.Kinds) == 0 || slices.Contains(e.Kinds, noun))
}

// Offboarded is why endpoints of an organization end whose offboarding is complete.
const Offboarded = "its organization was offboarded"

// Takes reports whether what waits for the endpoint is still sent: one that ended with its organization gets the events up to that
// end, and none after it.
func (e Endpoint) Takes() bool {
	return e.State == Active || e.State == Ended && e.Reason == Offboarded
}

// Nouns is what events are about: an event's name is one of these, a dot, and what happened.
func Nouns() []string {
	return []string{"application", "credential", "grant", "invitation", "offboarding", "organization", "request", "review"}
}

// Event is what is sent.
type Event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// Data is what an event is about.
type Data struct {
	Object       id.ID           `json:"object,omitempty"`
	Organization id.ID           `json:"organization,omitempty"`
	Application  id.ID           `json:"application,omitempty"`
	Environment  string          `json:"environment,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	State        json.RawMessage `json:"state,omitempty"` // the object as it is now, without secrets and personal values
}

// secretPrefix marks a secret as the specification says.
const secretPrefix = "whsec_"

// NewSecret makes a signing secret: 256 random bits.
func NewSecret() secret.Value {
	var b [32]byte
	rand.Read(b[:])
	return secret.New(secretPrefix + base64.StdEncoding.EncodeToString(b[:]))
}

// Sign makes the webhook-signature field: one "v1,…" for each secret.
func Sign(message string, at time.Time, body []byte, secrets ...secret.Value) (string, error) {
	var out []string
	for _, s := range secrets {
		sum, err := mac(message, at, body, s)
		if err != nil {
			return "", err
		}
		out = append(out, "v1,"+base64.StdEncoding.EncodeToString(sum))
	}
	return strings.Join(out, " "), nil
}

func mac(message string, at time.Time, body []byte, s secret.Value) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Reveal(), secretPrefix))
	if err != nil || len(key) == 0 {
		return nil, fault.New(fault.Invalid, "this is no secret of a webhook").Because(err)
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	h.Write(body)
	return h.Sum(nil), nil
}

// tolerance is how far a receiver's clock may be off.
const tolerance = 5 * time.Minute

// Verify is what a receiver does: it checks the signature field, and that the message is not of long ago.
func Verify(message, timestamp, signature string, body []byte, s secret.Value, now time.Time) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	at := time.Unix(seconds, 0)
	if err != nil || at.Before(now.Add(-tolerance)) || at.After(now.Add(tolerance)) {
		return fault.New(fault.Invalid, "the timestamp is not of now")
	}
	want, err := mac(message, at, body, s)
	if err != nil {
		return err
	}
	for one := range strings.FieldsSeq(signature) {
		text, ok := strings.CutPrefix(one, "v1,")
		got, err := base64.StdEncoding.DecodeString(text)
		if ok && err == nil && subtle.ConstantTimeCompare(got, want) == 1 {
			return nil
		}
	}
	return fault.New(fault.Invalid, "no signature fits")
}

// Delivery is one event on its way to one endpoint.
type Delivery struct {
	ID           int64     `json:"id"`
	Message      string    `json:"message"` // the webhook-id: the same at every try
	Endpoint     id.ID     `json:"endpoint"`
	Organization id.ID     `json:"organization,omitempty"` // of the endpoint
	Type         string    `json:"type"`
	Body         []byte    `json:"-"`
	At           time.Time `json:"at"`
	Tries        int       `json:"tries"`
	Problem      string    `json:"problem,omitempty"` // what came of the last try
	GivenUp      bool      `json:"given_up"`
}

// waits is how long after each try the next one comes: the schedule of the specification, about three days in all.
func waits() []time.Duration {
	return []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour}
}

// Again is when to try again after so many tries; ok is false when it is given up.
func Again(tries int, now time.Time) (_ time.Time, ok bool) {
	w := waits()
	if tries < 1 {
		tries = 1
	}
	if tries > len(w) {
		return time.Time{}, false
	}
	return now.Add(w[tries-1]), true
}

// Store keeps endpoints, and what is on its way to them.
type Store interface {
	// PutEndpoint inserts when e.Version is 0, else replaces the row of that version; another version is fault.Stale.
	PutEndpoint(ctx context.Context, e Endpoint) (Endpoint, error)
	// Endpoint returns one, or fault.NotFound.
	Endpoint(ctx context.Context, i id.ID) (Endpoint, error)
	// EndpointsOf lists those of an organization that have not ended by ID, ascending, after the given one; organization ""
	// lists the platform's.
	EndpointsOf(ctx context.Context, organization id.ID, after id.ID, limit int) ([]Endpoint, error)
	// AddDelivery stores an event to send.
	AddDelivery(ctx context.Context, d Delivery) error
	// ClaimDeliveries takes up to limit deliveries that wait, for a lease, in which nobody else gets them; each counts one try.
	ClaimDeliveries(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Delivery, error)
	// DeliveryDone removes a delivery.
	DeliveryDone(ctx context.Context, i int64) error
	// DeliveryFailed records the problem and when to try again; a zero time gives it up and keeps it for people to see.
	DeliveryFailed(ctx context.Context, i int64, problem string, again time.Time) error
	// Delivery returns one, or fault.NotFound.
	Delivery(ctx context.Context, i int64) (Delivery, error)
	// DeliverAgain makes a delivery that was given up wait again, as if it had not been tried. One that is not given up is
	// fault.NotFound.
	DeliverAgain(ctx context.Context, i int64, now time.Time) error
	// GivenUpDeliveries lists those that were given up by ID, ascending, after the given one.
	GivenUpDeliveries(ctx context.Context, endpoint id.ID, after int64, limit int) ([]Delivery, error)
}
