package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// handler is the service below /v1.
func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/verifications", s.start)
	mux.HandleFunc("GET /v1/verifications", s.list)
	mux.HandleFunc("GET /v1/verifications/{id}", s.get)
	mux.HandleFunc("DELETE /v1/verifications/{id}", s.cancel)
	mux.HandleFunc("PUT /v1/verifications/{id}/evidence/{kind}", s.upload)
	mux.HandleFunc("GET /v1/verifications/{id}/result", s.result)
	mux.HandleFunc("POST /v1/documents/check", s.check)
	mux.HandleFunc("GET /v1/callback", s.readCallback)
	mux.HandleFunc("PUT /v1/callback", s.putCallback)
	mux.HandleFunc("DELETE /v1/callback", s.removeCallback)
	mux.HandleFunc("GET /v1/whoami", s.whoami)
	mux.HandleFunc("GET /v1/health", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "there is no "+r.Method+" "+r.URL.Path+" here", nil)
	})
	return s.trusted(s.latency(mux))
}

func (s *service) start(w http.ResponseWriter, r *http.Request) {
	var in struct{ Subject, Level, Reference string }
	if !read(w, r, &in) {
		return
	}
	var wrong []field
	if n := utf8.RuneCountInString(in.Subject); n < 1 || n > 100 {
		wrong = append(wrong, field{"/subject", "must have 1 to 100 characters"})
	}
	if in.Level != "basic" && in.Level != "high" {
		wrong = append(wrong, field{"/level", `must be "basic" or "high"`})
	}
	if utf8.RuneCountInString(in.Reference) > 200 {
		wrong = append(wrong, field{"/reference", "must have at most 200 characters"})
	}
	if wrong != nil {
		refuse(w, http.StatusBadRequest, "the request is not valid", wrong)
		return
	}
	if strings.HasPrefix(in.Subject, "unavailable-") {
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "the register that has to be asked is away", nil)
		return
	}
	v := &verification{ID: newID(), Subject: in.Subject, Level: in.Level, Reference: in.Reference, State: waiting,
		Missing: []string{"document"}, Started: s.now().UTC(), evidence: map[string]int{}}
	if in.Level == "high" {
		v.Missing = append(v.Missing, "portrait")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.of(r)
	for _, id := range all.order {
		if old := all.byID[id]; old.Subject == v.Subject {
			if s.settle(old); old.State == waiting || old.State == inReview {
				refuse(w, http.StatusConflict, "verification "+old.ID+" of this subject is not finished", nil)
				return
			}
		}
	}
	all.add(v)
	w.Header().Set("Location", "verifications/"+v.ID)
	answer(w, http.StatusCreated, v)
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	subject, want := r.URL.Query().Get("subject"), r.URL.Query().Get("state")
	if subject == "" {
		refuse(w, http.StatusBadRequest, "say which subject", []field{{"/subject", "is missing in the query"}})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all, found := s.of(r), []*verification{}
	for _, id := range slices.Backward(all.order) {
		v := all.byID[id]
		if s.settle(v); v.Subject == subject && (want == "" || string(v.State) == want) && len(found) < 100 {
			found = append(found, v)
		}
	}
	answer(w, http.StatusOK, map[string][]*verification{"items": found})
}

// with finds the verification that the path names and calls fn with it, or answers 404. s.mu is held meanwhile.
func (s *service) with(w http.ResponseWriter, r *http.Request, fn func(*verification)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.find(r, r.PathValue("id"))
	if v == nil {
		refuse(w, http.StatusNotFound, "there is no such verification", nil)
		return
	}
	fn(v)
}

func (s *service) get(w http.ResponseWriter, r *http.Request) {
	s.with(w, r, func(v *verification) { answer(w, http.StatusOK, v) })
}

func (s *service) cancel(w http.ResponseWriter, r *http.Request) {
	s.with(w, r, func(v *verification) {
		if v.State != waiting && v.State != inReview {
			refuse(w, http.StatusConflict, "it is already "+string(v.State), nil)
			return
		}
		v.State, v.Missing, v.evidence = cancelled, []string{}, nil
		w.WriteHeader(http.StatusNoContent)
	})
}

func (s *service) upload(w http.ResponseWriter, r *http.Request) {
	kind := r.PathValue("kind")
	if kind != "document" && kind != "portrait" {
		refuse(w, http.StatusNotFound, "evidence is a document or a portrait", nil)
		return
	}
	if t := r.Header.Get("Content-Type"); t != "image/jpeg" && t != "image/png" {
		refuse(w, http.StatusUnsupportedMediaType, "send image/jpeg or image/png", nil)
		return
	}
	size, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxEvidence))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("evidence has at most %d bytes", maxEvidence), nil)
		return
	case err != nil:
		return // the caller is gone
	case size == 0:
		refuse(w, http.StatusBadRequest, "the picture is empty", nil)
		return
	}
	s.with(w, r, func(v *verification) {
		if v.State != waiting {
			refuse(w, http.StatusConflict, "it is already "+string(v.State), nil)
			return
		}
		v.evidence[kind] = int(size)
		v.Missing = slices.DeleteFunc(v.Missing, func(m string) bool { return m == kind })
		if len(v.Missing) == 0 {
			wait := s.pace.review
			if strings.HasPrefix(v.Subject, "slow-") {
				wait = s.pace.slow
			}
			v.State, v.decideAt = inReview, s.now().UTC().Add(wait)
		}
		answer(w, http.StatusOK, v)
	})
}

func (s *service) result(w http.ResponseWriter, r *http.Request) {
	s.with(w, r, func(v *verification) {
		out := map[string]any{"id": v.ID, "verified": v.State == verified, "decided": v.Decided}
		switch v.State {
		case verified:
			out["assurance"] = map[string]string{"basic": "substantial", "high": "high"}[v.Level]
		case rejected:
			out["assurance"], out["reasons"] = "none", []string{"the document does not show the person of the portrait"}
		default:
			refuse(w, http.StatusConflict, "there is no result yet: it is "+string(v.State), nil)
			return
		}
		answer(w, http.StatusOK, out)
	})
}

var numberForms = map[string]*regexp.Regexp{
	"passport":      regexp.MustCompile(`^[A-Z]{1,2}[0-9]{6,8}$`),
	"identity_card": regexp.MustCompile(`^[A-Z0-9]{8,12}$`),
}

func (s *service) check(w http.ResponseWriter, r *http.Request) {
	var in struct{ Kind, Country, Number string }
	if !read(w, r, &in) {
		return
	}
	form := numberForms[in.Kind]
	var wrong []field
	if form == nil {
		wrong = append(wrong, field{"/kind", `must be "passport" or "identity_card"`})
	}
	if len(in.Country) != 2 || strings.ToUpper(in.Country) != in.Country {
		wrong = append(wrong, field{"/country", "must be two capital letters"})
	}
	if len(in.Number) < 5 || len(in.Number) > 20 {
		wrong = append(wrong, field{"/number", "must have 5 to 20 characters"})
	}
	if wrong != nil {
		refuse(w, http.StatusBadRequest, "the request is not valid", wrong)
		return
	}
	answer(w, http.StatusOK, map[string]bool{"well_formed": form.MatchString(in.Number), "reported_lost": strings.HasSuffix(in.Number, "13")})
}

func (s *service) readCallback(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.callbacks[r.Header.Get("Gatehouse-Application")]; ok {
		answer(w, http.StatusOK, c)
		return
	}
	refuse(w, http.StatusNotFound, "no callback is registered", nil)
}

func (s *service) putCallback(w http.ResponseWriter, r *http.Request) {
	var c callback
	if !read(w, r, &c) {
		return
	}
	var wrong []field
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "https" || u.Host == "" {
		wrong = append(wrong, field{"/url", "must be an https address"})
	}
	if len(c.Events) == 0 || slices.ContainsFunc(c.Events, func(e string) bool { return e != "verified" && e != "rejected" }) {
		wrong = append(wrong, field{"/events", `must be some of "verified" and "rejected"`})
	}
	if wrong != nil {
		refuse(w, http.StatusBadRequest, "the request is not valid", wrong)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callbacks[r.Header.Get("Gatehouse-Application")] = c
	answer(w, http.StatusOK, c)
}

func (s *service) removeCallback(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	app := r.Header.Get("Gatehouse-Application")
	if _, ok := s.callbacks[app]; !ok {
		refuse(w, http.StatusNotFound, "no callback is registered", nil)
		return
	}
	delete(s.callbacks, app)
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) whoami(w http.ResponseWriter, r *http.Request) {
	names := []string{}
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	h := r.Header.Get
	answer(w, http.StatusOK, map[string]any{"organization": h("Gatehouse-Organization"), "application": h("Gatehouse-Application"),
		"grant": h("Gatehouse-Grant"), "scopes": strings.Fields(h("Gatehouse-Scopes")), "environment": h("Gatehouse-Environment"),
		"request_id": h("Gatehouse-Request-Id"), "fields": names})
}

// field is one thing wrong with a request.
type field struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// read decodes a small JSON body strictly, or answers what is wrong with it.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil && dec.More() {
		err = errors.New("something follows the JSON value")
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "the body is not the JSON that is expected: "+err.Error(), nil)
		return false
	}
	return true
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, detail string, wrong []field) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(struct {
		Title  string  `json:"title"`
		Status int     `json:"status"`
		Detail string  `json:"detail"`
		Errors []field `json:"errors,omitempty"`
	}{http.StatusText(status), status, detail, wrong})
}
