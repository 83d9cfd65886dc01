package grant

import (
	"slices"
	"time"

	"gatehouse/fault"
	"gatehouse/id"
)

// Question is what an approver wants to know before deciding. While it waits for its answer, the stage does not.
type Question struct {
	By         id.ID     `json:"by"`
	At         time.Time `json:"at"`
	Text       string    `json:"text"`
	Answer     string    `json:"answer,omitempty"`
	AnsweredBy id.ID     `json:"answered_by,omitempty"`
	Answered   time.Time `json:"answered,omitzero"`
}

// questionsMost is how many questions one request can have: what is not clear then is refused.
const questionsMost = 20

// Waiting returns the question that waits for an answer.
func (r Request) Waiting() (Question, bool) {
	if n := len(r.Questions); n > 0 && r.State == Open && r.Questions[n-1].Answer == "" {
		return r.Questions[n-1], true
	}
	return Question{}, false
}

// Ask puts a question to whoever asked for access. Whoever may decide may ask, one question at a time; that is no decision.
func (r Request) Ask(text string, by Decider, now time.Time) (Request, error) {
	if err := r.MayDecide(by); err != nil {
		return r, err
	}
	if q, waits := r.Waiting(); waits {
		return r, fault.Of(fault.Conflict, "question-open", "the question %q waits for an answer already", q.Text)
	}
	if len(r.Questions) >= questionsMost {
		return r, fault.New(fault.Conflict, "%d questions were asked: approve what is clear, or refuse", len(r.Questions))
	}
	if text == "" {
		return r, fault.Bad("/text", "say what you want to know")
	}
	r.Questions = append(slices.Clip(r.Questions), Question{By: by.Person, At: now, Text: text})
	return r.waits(now), nil
}

// Reply answers the question that waits.
func (r Request) Reply(text string, by id.ID, now time.Time) (Request, error) {
	if r.State != Open {
		return r, fault.Of(fault.Conflict, "already-decided", "request %s is already %s", r.ID, r.State)
	}
	if _, waits := r.Waiting(); !waits {
		return r, fault.New(fault.Conflict, "no question waits for an answer")
	}
	if text == "" {
		return r, fault.Bad("/text", "say what the approver wants to know")
	}
	r.Questions = slices.Clone(r.Questions)
	q := &r.Questions[len(r.Questions)-1]
	q.Answer, q.AnsweredBy, q.Answered = text, by, now
	return r.waits(now), nil
}

// waits begins a wait: for the stage, or for the answer to a question.
func (r Request) waits(now time.Time) Request {
	r.Since, r.Reminded = now, false
	return r
}

// Began is when what waits now began to wait.
func (r Request) Began() time.Time {
	if r.Since.IsZero() {
		return r.Created
	}
	return r.Since
}

// Due is when something happens to the request by itself: a reminder after half the stage's time; at its end escalation to
// the stand-in, if the stage has one and was not escalated yet; else it lapses. Zero: never.
func (r Request) Due() time.Time {
	at := r.Stage()
	if r.State != Open || at >= len(r.Stages) || r.Stages[at].Within <= 0 {
		return time.Time{}
	}
	if !r.Reminded {
		return r.Began().Add(r.Stages[at].Time() / 2)
	}
	return r.Began().Add(r.Stages[at].Time())
}

// Deadline is when the request lapses or is escalated; zero: never.
func (r Request) Deadline() time.Time {
	at := r.Stage()
	if r.State != Open || at >= len(r.Stages) || r.Stages[at].Within <= 0 {
		return time.Time{}
	}
	return r.Began().Add(r.Stages[at].Time())
}

// Happening is what happens to a request by itself.
type Happening string

// The happenings.
const (
	Nothing   Happening = ""
	Remind    Happening = "remind"
	Escalate  Happening = "escalate"
	LapseTime Happening = "lapse"
)

// Tick does what is due at that time: one thing, the last that is due.
func (r Request) Tick(now time.Time) (Request, Happening) {
	due := r.Due()
	if due.IsZero() || now.Before(due) {
		return r, Nothing
	}
	if now.Before(r.Deadline()) {
		r.Reminded = true
		return r, Remind
	}
	if _, asks := r.Waiting(); !asks && !r.Escalated && r.Stages[r.Stage()].StandIn != "" {
		r = r.waits(now)
		r.Escalated = true
		return r, Escalate
	}
	r.State = Lapsed
	return r, LapseTime
}
