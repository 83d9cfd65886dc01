package main

import (
	"crypto/rand"
	"crypto/subtle"
	"hash/fnv"
	"net/http"
	"strings"
	"sync"
	"time"
)

// pace is how long things take.
type pace struct {
	least, spread time.Duration // of an answer
	review        time.Duration // from the last evidence to the decision
	slow          time.Duration // the same for subjects that begin with slow-
}

var (
	realistic = pace{least: 4 * time.Millisecond, spread: 20 * time.Millisecond, review: 2 * time.Second, slow: time.Minute}
	immediate = pace{}
)

// The most that is kept: this is an example and not a database.
const (
	maxVerifications = 10_000 // for each organization; the oldest goes first
	maxEvidence      = 10 << 20
	maxBody          = 64 << 10
)

type state string

const (
	waiting   state = "waiting_for_evidence"
	inReview  state = "in_review"
	verified  state = "verified"
	rejected  state = "rejected"
	cancelled state = "cancelled"
)

// verification is one attempt to find out who a subject is.
type verification struct {
	ID        string    `json:"id"`
	Subject   string    `json:"subject"`
	Level     string    `json:"level"`
	Reference string    `json:"reference,omitempty"`
	State     state     `json:"state"`
	Missing   []string  `json:"missing"`
	Started   time.Time `json:"started"`
	Decided   time.Time `json:"decided,omitzero"`

	evidence map[string]int // kind -> bytes
	decideAt time.Time
}

// callback is where an application wants to be told.
type callback struct {
	URL    string   `json:"url"`
	Events []string `json:"events"`
}

// service keeps everything in memory, apart by organization.
type service struct {
	secret []byte
	pace   pace
	now    func() time.Time

	mu        sync.Mutex
	byOrg     map[string]*records
	callbacks map[string]callback // by application
}

type records struct {
	byID  map[string]*verification
	order []string
}

func newService(secret string, p pace, now func() time.Time) *service {
	return &service{secret: []byte(secret), pace: p, now: now, byOrg: map[string]*records{}, callbacks: map[string]callback{}}
}

// trusted lets only the gateway in.
func (s *service) trusted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Eid-Gateway-Secret")), s.secret) != 1 {
			refuse(w, http.StatusForbidden, "only the gateway may call this service", nil)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// latency makes an answer take as long as a real one, differently for each request and the same in each run.
func (s *service) latency(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.pace.spread > 0 {
			h := fnv.New32a()
			h.Write([]byte(r.Header.Get("Gatehouse-Request-Id") + r.URL.Path))
			wait := time.NewTimer(s.pace.least + time.Duration(h.Sum32())%s.pace.spread)
			defer wait.Stop()
			select {
			case <-wait.C:
			case <-r.Context().Done():
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// of returns the records of the organization that the gateway names. s.mu is held.
func (s *service) of(r *http.Request) *records {
	org := r.Header.Get("Gatehouse-Organization")
	if s.byOrg[org] == nil {
		s.byOrg[org] = &records{byID: map[string]*verification{}}
	}
	return s.byOrg[org]
}

// find returns one verification of the caller's organization as it stands now, or nil. s.mu is held.
func (s *service) find(r *http.Request, id string) *verification {
	v := s.of(r).byID[id]
	if v != nil {
		s.settle(v)
	}
	return v
}

// settle brings a verification to where it stands now.
func (s *service) settle(v *verification) {
	if v.State != inReview || s.now().Before(v.decideAt) {
		return
	}
	v.State, v.Decided = verified, v.decideAt
	if strings.HasPrefix(v.Subject, "reject-") {
		v.State = rejected
	}
}

func (r *records) add(v *verification) {
	if len(r.order) >= maxVerifications {
		delete(r.byID, r.order[0])
		r.order = r.order[1:]
	}
	r.byID[v.ID] = v
	r.order = append(r.order, v.ID)
}

func newID() string {
	const letters = "0123456789abcdefghjkmnpqrstvwxyz"
	var b [16]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = letters[b[i]&31]
	}
	return "ver_" + string(b[:])
}
