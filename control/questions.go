package control

import (
	"context"

	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
)

// AskQuestion puts a question to whoever asked for access. Whoever may decide may ask. While it waits for the answer, the
// stage does not.
func (c *Control) AskQuestion(ctx context.Context, a identity.Actor, i id.ID, version int64, text string) (grant.Request, error) {
	return c.turnRequest(ctx, a, "AskQuestion", "request.ask", i, version, text, func(w *write, old grant.Request, text string) (grant.Request, error) {
		app, err := w.application(old.Application)
		if err != nil {
			return old, err
		}
		at, err := c.place(w.read, old.Environment, old.Product, old.Organization)
		if err != nil {
			return old, err
		}
		if err := w.within("AskQuestion", at); err != nil {
			return old, err
		}
		if err := w.mayDecide(old, app, at); err != nil {
			return old, err
		}
		by, err := w.decider(at)
		if err != nil {
			return old, err
		}
		r, err := old.Ask(text, by, w.now)
		if err != nil {
			return old, err
		}
		return r, c.tellAsker(w, r, app, "A question about your access request", func(name string) []string {
			return []string{"There is a question about your request for " + name + ":", text, "It is decided once you have answered:"}
		})
	})
}

// AnswerQuestion answers the question that waits. Owner or developer of the organization, or staff who asked on its behalf.
func (c *Control) AnswerQuestion(ctx context.Context, a identity.Actor, i id.ID, version int64, text string) (grant.Request, error) {
	return c.turnRequest(ctx, a, "AnswerQuestion", "request.answer", i, version, text, func(w *write, old grant.Request, text string) (grant.Request, error) {
		if !ofPartner(a) && a.Person != old.By {
			return old, fault.New(fault.Forbidden, "the organization answers, or whoever asked on its behalf")
		}
		r, err := old.Reply(text, a.Person, w.now)
		if err != nil {
			return old, err
		}
		q := r.Questions[len(r.Questions)-1]
		return r, w.tellPeople([]id.ID{q.By}, "Your question was answered", lines(
			"You asked: "+q.Text, "The answer: "+q.Answer, "Decide here:", c.URL+"/requests/"+string(r.ID)))
	})
}

// turnRequest changes a request with a text.
func (c *Control) turnRequest(ctx context.Context, a identity.Actor, method, action string, i id.ID, version int64, text string,
	turn func(*write, grant.Request, string) (grant.Request, error)) (grant.Request, error) {
	var r grant.Request
	if err := allow(a, method); err != nil {
		return r, err
	}
	var f form
	text = f.text("/text", text, longestReason)
	if err := f.err(); err != nil {
		return r, err
	}
	err := c.update(ctx, a, method, func(w *write) error {
		old, err := w.request(i)
		if err != nil {
			return err
		}
		if err := seen(version, old.Version); err != nil {
			return err
		}
		if r, err = turn(w, old, text); err != nil {
			return err
		}
		r, err = w.putRequest(action, text, old, r)
		return err
	})
	return r, err
}
