package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/grant"
	"gatehouse/id"
	"gatehouse/identity"
)

// Said is the body of a question or an answer.
type Said struct {
	Text string `json:"text" doc:"In a few sentences" example:"Whose data will be looked up, and how many a day?"`
}

// questions adds what approvers ask and partners answer.
func (a *api) questions() {
	c := a.Control
	type turn = func(context.Context, identity.Actor, id.ID, int64, string) (grant.Request, error)
	says := func(o operation, t turn) {
		o.method, o.tag = http.MethodPost, tagRequests
		add(a, o, func(ctx context.Context, in *struct {
			Change
			Body Said
		}) (*Versioned[Request], error) {
			version, err := in.version()
			if err != nil {
				return nil, err
			}
			r, err := t(ctx, in.actor(), in.object(), version, in.Body.Text)
			return versioned(requestOf(r), r.Version, err)
		})
	}
	says(operation{id: "askQuestion", path: "/api/requests/{id}/questions", summary: "Ask whoever asks for access",
		doc: "For whoever may decide. While the question waits for its answer, the stage does not wait for a decision, and cannot be approved."}, c.AskQuestion)
	says(operation{id: "answerQuestion", path: "/api/requests/{id}/answers", summary: "Answer the question that waits",
		doc: "For an owner or developer of the organization."}, c.AnswerQuestion)
}

// NewAbsence says who decides in one's place.
type NewAbsence struct {
	StandIn id.ID     `json:"stand_in" doc:"Somebody of the platform" example:"per_01kas0v2m8c4y6n0q3r5t7w9xz"`
	From    time.Time `json:"from,omitempty" required:"false" doc:"From when on; now, when left out" example:"2027-07-01T00:00:00Z"`
	Until   time.Time `json:"until" doc:"Until when; at most a year" example:"2027-07-15T00:00:00Z"`
}

// absences adds who stands in for whom.
func (a *api) absences() {
	c := a.Control
	const path = "/api/absences"
	add(a, operation{id: "setAbsence", method: http.MethodPost, path: path, tag: tagRequests, status: http.StatusCreated,
		summary: "Name a stand-in",
		doc: `Another person of the platform decides on access requests in your place for a time: with your roles, in their own name, and
never where you could not have decided. In person.`,
	}, func(ctx context.Context, in *With[NewAbsence]) (*Made[grant.Absence], error) {
		v, err := c.SetAbsence(ctx, in.actor(), in.Body.StandIn, in.Body.From, in.Body.Until)
		return made(path, v.ID, v, v.Version, err)
	})
	add(a, operation{id: "absences", method: http.MethodGet, path: path, tag: tagRequests,
		summary: "List absences", doc: "Those of everybody that are not over. For staff.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
	}) (*Page[grant.Absence], error) {
		l, err := c.Absences(ctx, in.actor(), in.page())
		return paged(l, err, same)
	})
	add(a, operation{id: "callOffAbsence", method: http.MethodPost, path: path + "/{id}/end", tag: tagRequests,
		summary: "End an absence early", doc: "For whoever set it, or an admin. Takes no body.",
	}, func(ctx context.Context, in *Object) (*Versioned[grant.Absence], error) {
		v, err := c.CallOffAbsence(ctx, in.actor(), in.object())
		return versioned(v, v.Version, err)
	})
}
