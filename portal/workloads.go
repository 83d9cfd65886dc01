package portal

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/problem"
)

// workloadForm asks to whom an application is bound: one question stands for environment, issuer and audience, so that they
// always belong together.
func (v *visit) workloadForm(p *issuePage) (*formPage, error) {
	where := field{Name: "where", Label: "Whose tokens prove it", Kind: radioField, Required: true, Hint: "The platform lists the issuers that it trusts, and what their tokens must be for"}
	for _, e := range p.Form.Field("environment").Options {
		list, err := v.Control.TrustedIssuers(v.r.Context(), v.actor, e.Value)
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			for _, a := range t.Audiences {
				where.Options = append(where.Options, option{Value: strings.Join([]string{e.Value, t.Name, a}, " "), Label: t.Title + " in " + e.Label, Text: t.Issuer + ", for " + a})
			}
		}
	}
	f := newForm("/workloads", p.Form.Field("name"), where,
		field{Name: "subject", Label: "Subject", Kind: textField, Required: true, Max: 512, Mono: true, Hint: "Who the workload is there: the client id of an Entra application, system:serviceaccount:namespace:name of Kubernetes, else mostly the token's sub. Letter by letter"},
		field{Name: "claims", Label: "What its tokens must say beside", Kind: areaField, Max: 4000, Mono: true, Hint: "One claim a line, such as ref=refs/heads/main. Leave it empty to ask for nothing more"},
		p.Form.Field("lifetime"), p.Form.Field("grants"), sourcesField(),
		field{Name: "application", Label: "Application", Kind: selectField, Required: true, Options: []option{{Value: string(p.Application.ID), Label: p.Application.Name}}},
	)
	f.set("lifetime", p.Form.value("lifetime"))
	f.set("application", string(p.Application.ID))
	if len(where.Options) == 1 {
		f.set("where", where.Options[0].Value)
	}
	out := &formPage{Form: f, Button: "Bind the workload", Back: "/applications/" + string(p.Application.ID)}
	out.Title, out.Lead, out.Trail = "Bind a workload to "+p.Application.Name, "The application proves itself with tokens that it gets where it runs. There is no secret to keep.", p.Trail
	if len(where.Options) == 0 {
		out.Lead = "No issuer elsewhere is trusted where this application has access: ask the platform to list yours."
	}
	return out, nil
}

func askWorkload(v *visit) error {
	app := v.r.URL.Query().Get("application")
	if app == "" {
		return v.redirect("/applications")
	}
	p, err := v.issueOf(app)
	if err != nil {
		return err
	}
	if p.NoGrant {
		return v.ok(p)
	}
	f, err := v.workloadForm(p)
	if err != nil {
		return err
	}
	return v.ok(f)
}

func bindWorkload(v *visit) error {
	from, err := v.issueOf(v.r.PostForm.Get("application"))
	if err != nil {
		return err
	}
	p, err := v.workloadForm(from)
	if err != nil {
		return err
	}
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	where := strings.SplitN(p.Form.value("where"), " ", 3) // an option of the form: it has three parts
	n := control.NewWorkload{NewKey: control.NewKey{Application: from.Application.ID, Environment: where[0], Name: p.Form.value("name"),
		Lifetime: durationOf(p.Form.value("lifetime")), Sources: sourcesOf(p.Form.value("sources")), Once: p.Form.Once},
		Issuer: where[1], Audience: where[2], Subject: p.Form.value("subject")}
	for line := range strings.SplitSeq(p.Form.value("claims"), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			name, value, _ := strings.Cut(line, "=")
			n.Claims = append(n.Claims, credential.Claim{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
		}
	}
	for _, g := range from.Form.Field("grants").Options {
		if slices.Contains(p.Form.Field("grants").Values, g.Value) {
			n.Grants = append(n.Grants, id.ID(g.Value))
		}
	}
	c, err := v.Control.BindWorkload(v.r.Context(), v.actor, n)
	switch e := fault.As(err); {
	case err == nil:
	case e.Code == "already-issued":
		return v.alreadyIssued(from.Application)
	case p.Form.refuse(err):
		return v.show(problem.Status(e), p)
	default:
		return err
	}
	done := &clientPage{Credential: c}
	done.Title, done.Lead = "Your workload", "It counts as soon as the gateways have heard of it."
	return v.show(http.StatusOK, done)
}
