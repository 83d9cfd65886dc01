package portal

import (
	"context"

	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
)

// saying is a page with one text about a request: a question, or its answer.
type saying struct {
	verb, title, label, hint, button, back, notice string
	say                                            func(context.Context, identity.Actor, id.ID, int64, string) (grant.Request, error)
}

func (v *visit) question() saying {
	return saying{verb: "ask", title: "Ask a question", label: "Question", button: "Ask", back: "/decide", notice: "question-asked",
		hint: "Whoever asked for access sees it. The stage waits for the answer", say: v.Control.AskQuestion}
}

func (v *visit) reply() saying {
	return saying{verb: "answer", title: "Answer the question", label: "Answer", button: "Answer", notice: "question-answered",
		hint: "The approver decides on it, and it stays with the request", say: v.Control.AnswerQuestion}
}

// sayingPage shows the page, or takes what was said.
func (v *visit) sayingPage(s saying, sent bool) error {
	i, err := v.object(id.Request)
	if err != nil {
		return err
	}
	r, err := v.Control.Request(v.r.Context(), v.actor, i)
	if err != nil {
		return err
	}
	at := "/requests/" + string(r.ID)
	p := &formPage{Button: s.button, Back: at + s.back, Form: newForm(at+"/"+s.verb,
		field{Name: "text", Label: s.label, Kind: areaField, Required: true, Max: 1000, Hint: s.hint})}
	p.Form.Version = r.Version
	p.Title, p.Trail = s.title, []crumb{{"Requests", "/requests"}, {v.productTitle(r.Product), at}}
	if q, waits := r.Waiting(); waits && s.verb == "answer" {
		p.Lead = q.Text
	}
	if !sent {
		return v.ok(p)
	}
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	if _, err := s.say(v.r.Context(), v.actor, i, p.Form.Version, p.Form.value("text")); err != nil {
		if p.Form.refuse(err) {
			p.Form.Version = r.Version
			return v.show(statusOfForm(p.Form), p)
		}
		return err
	}
	return v.done(s.notice, at)
}

func askQuestion(v *visit) error { return v.sayingPage(v.question(), false) }
func putQuestion(v *visit) error { return v.sayingPage(v.question(), true) }
func askAnswer(v *visit) error   { return v.sayingPage(v.reply(), false) }
func putAnswer(v *visit) error   { return v.sayingPage(v.reply(), true) }
