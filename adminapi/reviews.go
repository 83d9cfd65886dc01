package adminapi

import (
	"context"
	"net/http"
	"time"

	"gatehouse/control"
	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/review"
)

// NewReview is what a campaign is started from.
type NewReview struct {
	Name         string     `json:"name" doc:"What it is called: it stands in letters" example:"Autumn 2027"`
	Ends         time.Time  `json:"ends" doc:"What nobody has answered by then ends" example:"2027-11-30T00:00:00Z"`
	Reviewers    review.Who `json:"reviewers,omitempty" doc:"Who is asked: both, owners (whoever answers for the application), api-owner; both, when left out" example:"both"`
	API          string     `json:"api,omitempty" doc:"Only grants of products that reach this API" example:"verification"`
	Product      string     `json:"product,omitempty" doc:"Only grants of this product" example:"verification"`
	Organization id.ID      `json:"organization,omitempty" doc:"Only grants of this organization" example:"org_01kas0v2m8c4y6n0q3r5t7w9xz"`
	Environment  string     `json:"environment,omitempty" doc:"Only grants there" example:"live"`
	OlderThan    string     `json:"older_than,omitempty" doc:"Only grants that began, or were last confirmed, so long ago" example:"180d"`
	Dormant      string     `json:"dormant,omitempty" doc:"Only grants that were not used for so long" example:"90d"`
	Expiring     time.Time  `json:"expiring,omitempty" required:"false" doc:"Only grants whose end is before this" example:"2027-12-31T00:00:00Z"`
	DryRun       bool       `json:"dry_run,omitempty" doc:"Start nothing: the answer's items says how many grants would be asked about"`
}

// ReviewAnswer is what a reviewer says about a grant.
type ReviewAnswer struct {
	Answer review.Answer `json:"answer" doc:"confirm, narrow or end" example:"confirm"`
	Scopes []string      `json:"scopes,omitempty" doc:"To narrow: the scopes that stay; all of them, when left out" example:"verifications:read"`
	Until  time.Time     `json:"until,omitempty" required:"false" doc:"To narrow: an earlier end; the one it has, when left out" example:"2027-12-31T00:00:00Z"`
	Reason string        `json:"reason,omitempty" doc:"Why. Needed to narrow and to end; the partner sees it" example:"the project is over"`
}

// ReviewQuestion is the question about one grant, with what the caller can answer.
type ReviewQuestion struct {
	review.Item
	Answers []review.Answer `json:"answers" nullable:"false"`
	Now     review.Facts    `json:"now"`
}

// reviews adds campaigns about grants.
func (a *api) reviews() {
	c := a.Control
	const path, items = "/api/reviews", "/api/review-items"
	add(a, operation{id: "startReview", method: http.MethodPost, path: path, tag: tagReviews, status: http.StatusCreated,
		summary: "Start a review",
		doc: `Whoever answers for the grants that are selected is asked whether they are still needed, with how they were used. What nobody has
answered at the end is ended. Grants about which another review asks already are left out. For an operator or admin, and an API owner for their API.`,
	}, func(ctx context.Context, in *struct {
		Caller
		Once
		Body NewReview
	}) (*Made[review.Review], error) {
		n := in.Body
		older, err := span("/older_than", n.OlderThan)
		if err != nil {
			return nil, err
		}
		dormant, err := span("/dormant", n.Dormant)
		if err != nil {
			return nil, err
		}
		v, err := c.StartReview(ctx, in.actor(), control.NewReview{Name: n.Name, Ends: n.Ends, Reviewers: n.Reviewers, DryRun: n.DryRun, Once: in.Key,
			Selection: review.Selection{API: n.API, Product: n.Product, Organization: n.Organization, Environment: n.Environment,
				OlderThan: int64(older / time.Second), Dormant: int64(dormant / time.Second), Expiring: n.Expiring}})
		return made(path, v.ID, v, v.Version, err)
	})
	add(a, operation{id: "reviews", method: http.MethodGet, path: path, tag: tagReviews,
		summary: "List reviews", doc: "For staff.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		State review.State `query:"state" doc:"Only in this state: open, closed or cancelled" example:"open"`
	}) (*Page[review.Review], error) {
		l, err := c.Reviews(ctx, in.actor(), in.State, in.page())
		return paged(l, err, same)
	})
	add(a, operation{id: "review", method: http.MethodGet, path: path + "/{id}", tag: tagReviews,
		summary: "Show a review", doc: "With how many of its questions are in which state. Once it is closed, its evidence is the report. For staff.",
	}, func(ctx context.Context, in *Object) (*Versioned[control.ReviewView], error) {
		v, err := c.Review(ctx, in.actor(), in.object())
		return versioned(v, v.Version, err)
	})
	deed(a, operation{id: "cancelReview", path: path + "/{id}/cancel", tag: tagReviews, summary: "Cancel a review",
		doc: "What nobody has answered stays as it is; what was answered stands. For an operator or admin."},
		func(ctx context.Context, who identity.Actor, i id.ID, version int64, reason string) (review.Review, int64, error) {
			v, err := c.CancelReview(ctx, who, i, version, reason)
			return v, v.Version, err
		})
	add(a, operation{id: "reviewItems", method: http.MethodGet, path: items, tag: tagReviews,
		summary: "List the questions of reviews", doc: "Each is about one grant. Members see those about their organization's.",
	}, func(ctx context.Context, in *struct {
		Caller
		Paging
		Review       string           `query:"review" doc:"Only of this review" example:"rev_01kas0v2m8c4y6n0q3r5t7w9xz"`
		Organization string           `query:"organization" doc:"Only about grants of this organization" example:"org_01kas0v2m8c4y6n0q3r5t7w9xz"`
		State        review.ItemState `query:"state" doc:"Only in this state: waiting, confirmed, narrowed, ended, silent, renewed, over, cancelled" example:"waiting"`
		Mine         bool             `query:"mine" doc:"Only those that wait for your answer"`
	}) (*Page[review.Item], error) {
		l, err := c.ReviewItems(ctx, in.actor(), control.ItemFilter{Review: id.ID(in.Review), Organization: id.ID(in.Organization), State: in.State, Mine: in.Mine}, in.page())
		return paged(l, err, same)
	})
	add(a, operation{id: "reviewItem", method: http.MethodGet, path: items + "/{id}", tag: tagReviews,
		summary: "Show the question about one grant", doc: "With the evidence as of the start, or the answer, and as of now; and with the answers that you can give.",
	}, func(ctx context.Context, in *Object) (*Versioned[ReviewQuestion], error) {
		i, err := c.ReviewItem(ctx, in.actor(), in.object())
		if err != nil {
			return nil, err
		}
		can, err := c.ReviewChoices(ctx, in.actor(), in.object())
		out := ReviewQuestion{i, []review.Answer{}, can.Facts}
		for _, x := range []struct {
			a   review.Answer
			why error
		}{{review.Confirm, can.Confirm}, {review.Narrow, can.Narrow}, {review.End, can.End}} {
			if x.why == nil {
				out.Answers = append(out.Answers, x.a)
			}
		}
		return versioned(out, i.Version, err)
	})
	add(a, operation{id: "answerReview", method: http.MethodPost, path: items + "/{id}/answer", tag: tagReviews,
		summary: "Confirm, narrow or end a grant that is asked about",
		doc:     "At once. For those who were asked, or who stand in for them. Nobody confirms a grant that they asked for themselves.",
	}, func(ctx context.Context, in *struct {
		Change
		Body ReviewAnswer
	}) (*Versioned[review.Item], error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		n := in.Body
		i, err := c.AnswerReview(ctx, in.actor(), in.object(), version, control.ReviewAnswer{Answer: n.Answer, Scopes: n.Scopes, Until: n.Until, Reason: n.Reason})
		return versioned(i, i.Version, err)
	})
}
