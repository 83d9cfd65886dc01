package portal

import (
	"slices"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/review"
)

// questionPage is the question about one grant, with the evidence and the answer.
type questionPage struct {
	frame
	Question   questionRow
	Grant      grantRow
	Scopes     []usedScope
	Unused     int
	ApprovedBy []string
	Asker      string
	Reviewers  []string
	Facts      review.Facts
	Form       form
	CanConfirm bool
	CanLess    bool
	Why        string // nothing can be answered, or not everything
}

func (*questionPage) template() string { return "question" }

// usedScope is a scope of the grant, and whether an operation that was called needed it.
type usedScope struct {
	scopeView
	Used bool
}

func (v *visit) reviewQuestion() (*questionPage, error) {
	i, err := v.object(id.Item)
	if err != nil {
		return nil, err
	}
	ctx := v.r.Context()
	item, err := v.Control.ReviewItem(ctx, v.actor, i)
	if err != nil {
		return nil, err
	}
	g, err := v.Control.Grant(ctx, v.actor, item.Grant)
	if err != nil {
		return nil, err
	}
	can, err := v.Control.ReviewChoices(ctx, v.actor, i)
	if err != nil {
		return nil, err
	}
	p := &questionPage{Question: v.questionRow(item), Grant: v.grantRow(g), ApprovedBy: rows(g.ApprovedBy, v.person), Reviewers: rows(item.Reviewers, v.person),
		Facts: can.Facts, CanConfirm: can.Confirm == nil, CanLess: can.End == nil}
	if item.State != review.Waiting {
		p.Facts = item.Facts
	}
	if p.Facts.RequestedBy != "" {
		p.Asker = v.person(p.Facts.RequestedBy)
	}
	for _, s := range v.scopeTexts(g.Product, p.Facts.Scopes) {
		used := slices.Contains(p.Facts.Used, s.Name)
		if !used {
			p.Unused++
		}
		p.Scopes = append(p.Scopes, usedScope{s, used})
	}
	if item.State == review.Waiting && can.Confirm != nil {
		p.Why = sentence(fault.As(can.Confirm).Public)
	}
	p.Form = v.answerForm(item, g)
	p.Title, p.Trail = "Is it still needed?", []crumb{{"Reviews", "/reviews"}}
	return p, nil
}

func (v *visit) answerForm(i review.Item, g grant.Grant) form {
	scopes := v.scopeField(g.Product, g.Scopes, g.Scopes, "To narrow: take away what is not needed")
	scopes.Required, scopes.Unmarked = false, true
	f := newForm("/reviewing/"+string(i.ID), scopes,
		field{Name: "until", Label: "Last day", Kind: dateField, Hint: "To narrow: the grant ends with this day, in UTC. Empty: the end it has", Unmarked: true,
			From: v.now.Format(time.DateOnly), To: g.Until.UTC().Format(time.DateOnly)},
		field{Name: "reason", Label: "Reason", Kind: areaField, Max: 1000, Unmarked: true, Hint: "Needed to narrow or to end; the partner reads it"})
	f.Version = i.Version
	return f
}

func askReviewAnswer(v *visit) error {
	p, err := v.reviewQuestion()
	if err != nil {
		return err
	}
	return v.ok(p)
}

func answerReview(v *visit) error {
	p, err := v.reviewQuestion()
	if err != nil {
		return err
	}
	if p.Question.State != review.Waiting {
		return fault.Of(fault.Conflict, "review-answered", "this question is answered already: the grant was %s", p.Question.State)
	}
	version := p.Form.Version
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	n := control.ReviewAnswer{Answer: review.Answer(v.r.PostForm.Get("answer")), Reason: p.Form.value("reason")}
	if n.Answer == review.Narrow {
		// None ticked is not all of them: control says that one must stay.
		n.Scopes, n.Until = append([]string{}, p.Form.Field("scopes").Values...), endOfDay(p.Form.value("until"), p.Grant.Until)
	}
	if _, err := v.Control.AnswerReview(v.r.Context(), v.actor, p.Question.ID, p.Form.Version, n); err != nil {
		if p.Form.refuse(err) {
			p.Form.Version = version
			return v.show(statusOfForm(p.Form), p)
		}
		return err
	}
	return v.done("review-"+string(n.Answer), "/reviewing/"+string(p.Question.ID))
}
