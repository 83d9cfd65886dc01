package trust

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse/authority"
	"gatehouse/fetch"
	"gatehouse/policy"
)

// responder asks an authority's OCSP responder about the certificates that are shown, and again before an answer runs out while
// they still are.
type responder struct {
	k     *Keeper
	of    *authority.Authority
	told  *policy.Revocations
	known map[[sha256.Size]byte]*asked
	busy  int
	said  string // what was last logged
}

// asked is one certificate that is asked about.
type asked struct {
	policy.StatusQuestion
	due    time.Time // by the clock of this process
	busy   bool
	failed int
	answer *policy.StatusAnswer
}

type answered struct {
	*asked
	answer *authority.Answer
	err    error
}

const (
	askedMost     = 8192      // certificates of one authority; of more, some are asked about later
	asksMost      = 4         // at once
	failuresMost  = 60        // in a row, an hour or so: then only if it is shown again
	longestAnswer = time.Hour // before an answer is asked for anew, however long it holds
	getLongest    = 255       // characters of a question that is sent by GET, so that it can be cached (RFC 6960 §A.1)
	never         = time.Hour // when nothing is due
	ocspQuestion  = "application/ocsp-request"
	ocspAnswer    = "application/ocsp-response"
)

// run asks until the context ends. It returns when nobody is being asked any more.
func (r *responder) run(ctx context.Context) {
	var wait sync.WaitGroup
	defer wait.Wait()
	done := make(chan answered)
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-r.told.Asked():
			r.want(q)
		case a := <-done:
			r.settle(a)
		case <-timer.C:
		}
		now, next := time.Now(), never
		for thumb, a := range r.known {
			switch left := a.due.Sub(now); {
			case a.busy:
			case left > 0:
				next = min(next, left)
			case a.answer != nil && !a.answer.Used(), a.failed > failuresMost: // nobody shows it any more
				delete(r.known, thumb)
			case r.busy < asksMost:
				a.busy = true
				r.busy++
				wait.Go(func() {
					answer, err := r.ask(ctx, a.StatusQuestion)
					select {
					case done <- answered{a, answer, err}:
					case <-ctx.Done():
					}
				})
			}
		}
		timer.Reset(next)
	}
}

// want notes that a certificate was shown about which nothing is known.
func (r *responder) want(q policy.StatusQuestion) {
	a := r.known[q.Thumb]
	switch {
	case a == nil && len(r.known) < askedMost:
		r.known[q.Thumb] = &asked{StatusQuestion: q}
	case a == nil:
		r.tell(fmt.Errorf("more than %d certificates are asked about: some have to wait", askedMost))
	case a.answer != nil && a.answer.Fresh(r.k.o.Now()): // another certificate has taken its place
		r.told.SawAnswer(a.answer)
	case a.answer != nil && !a.busy:
		a.due = time.Time{}
	}
}

// settle notes an answer, or that there was none.
func (r *responder) settle(a answered) {
	a.busy = false
	r.busy--
	if a.err != nil {
		a.due = time.Now().Add(min(r.k.o.Retry<<min(a.failed, 10), longestRetry))
		a.failed++
		r.tell(a.err)
		return
	}
	if a.asked.answer != nil && !a.answer.Newer(a.asked.answer.Answer) {
		a.due = time.Now().Add(longestRetry)
		r.tell(errors.New("the responder's answer is older than the one before it"))
		return
	}
	a.failed = 0
	a.asked.answer = &policy.StatusAnswer{Answer: a.answer, Thumb: a.Thumb}
	a.due = time.Now().Add(max(min(a.answer.Next.Sub(r.k.o.Now())/2, longestAnswer), r.k.o.Floor))
	r.told.SawAnswer(a.asked.answer)
	r.tell(nil)
}

// tell logs what has changed, once.
func (r *responder) tell(err error) {
	w := watch{what: "OCSP responder of a client authority", name: r.of.Name, said: r.said}
	r.k.tell(&w, err)
	r.said = w.said
}

// ask asks about one certificate.
func (r *responder) ask(ctx context.Context, q policy.StatusQuestion) (*authority.Answer, error) {
	at := r.of.Responder
	if at == authority.FromCertificate {
		if len(q.Leaf.OCSPServer) == 0 {
			return nil, errors.New("a certificate of it names no responder")
		}
		at = q.Leaf.OCSPServer[0]
	}
	question, err := authority.Ask(q.Leaf, q.Issuer)
	if err != nil {
		return nil, err
	}
	var a fetch.Answer
	if text := url.PathEscape(base64.StdEncoding.EncodeToString(question)); len(text) <= getLongest {
		a, err = r.k.o.Fetch.Get(ctx, strings.TrimSuffix(at, "/")+"/"+text, ocspAnswer)
	} else {
		a, err = r.k.o.Fetch.Post(ctx, at, http.Header{"Content-Type": {ocspQuestion}, "Accept": {ocspAnswer}}, question)
	}
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("it answered with status %d", a.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("%.200s: %w", at, err)
	}
	answer, err := authority.ReadAnswer(a.Body, q.Leaf, q.Issuer, r.k.o.Now())
	if err != nil {
		return nil, fmt.Errorf("%.200s: %w", at, err)
	}
	return answer, nil
}
