package portal

import (
	"net/http"
	"slices"

	"gatehouse/control"
	"gatehouse/credential"
	"gatehouse/fault"
	"gatehouse/id"
	"gatehouse/problem"
	"gatehouse/secret"
)

// clientForm asks for an OAuth client: the questions of a key, and how it proves itself.
func (v *visit) clientForm(p *issuePage) *formPage {
	f := newForm("/clients",
		p.Form.Field("name"), p.Form.Field("environment"),
		field{Name: "method", Label: "It proves itself by", Kind: radioField, Required: true, Options: []option{
			{Value: string(credential.PrivateKeyJWT), Label: "A key of its own", Text: "It signs; nothing secret ever leaves it"},
			{Value: string(credential.TLSAuth), Label: "A certificate of an authority of the platform's", Text: "That of its connection to the token endpoint"},
			{Value: string(credential.ClientSecret), Label: "A secret", Text: "Shown once, as an API key is"}}},
		field{Name: "jwks", Label: "Its public keys", Kind: areaField, Max: 20000, Mono: true, Hint: "A JWK Set, for a key of its own"},
		field{Name: "jwks_uri", Label: "Or where they are", Kind: textField, Max: 500, Hint: "An https address of the JWK Set: you change your keys there, and nothing here"},
		field{Name: "authority", Label: "The authority", Kind: textField, Max: 63, Mono: true, Hint: "For a certificate: the authority's name, as the platform has told it to you"},
		field{Name: "named", Label: "The name in its certificate", Kind: textField, Max: 512, Mono: true, Hint: "A host name, a URI such as spiffe://example.org/service, an IP or e-mail address, or the whole subject, such as CN=client,O=Partner,C=EE"},
		field{Name: "constrain", Label: "Its tokens are bound to", Kind: radioField, Required: true, Options: []option{
			{Value: "dpop", Label: "A key that it shows with every call (DPoP)", Text: "Who reads a token cannot use it"},
			{Value: "none", Label: "Nothing, unless it asks for it"}}},
		p.Form.Field("lifetime"), p.Form.Field("grants"), sourcesField(),
		field{Name: "application", Label: "Application", Kind: selectField, Required: true, Options: []option{{Value: string(p.Application.ID), Label: p.Application.Name}}},
	)
	f.set("method", string(credential.PrivateKeyJWT))
	f.set("constrain", "dpop")
	f.set("application", string(p.Application.ID))
	out := &formPage{Form: f, Button: "Register the client", Back: "/applications/" + string(p.Application.ID)}
	out.Title, out.Lead, out.Trail = "Register an OAuth client for "+p.Application.Name, "It gets access tokens that live for minutes, from the token endpoint of its environment.", p.Trail
	return out
}

func askClient(v *visit) error {
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
	return v.ok(v.clientForm(p))
}

// clientPage shows a client, and its secret once.
type clientPage struct {
	frame
	Secret     string
	PEM        string // a certificate that was made
	Credential credential.Credential
	Endpoint   string
}

func (*clientPage) template() string { return "newclient" }

func registerClient(v *visit) error {
	from, err := v.issueOf(v.r.PostForm.Get("application"))
	if err != nil {
		return err
	}
	p := v.clientForm(from)
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	n := control.NewClient{NewKey: control.NewKey{Application: from.Application.ID, Environment: p.Form.value("environment"), Name: p.Form.value("name"),
		Lifetime: durationOf(p.Form.value("lifetime")), Sources: sourcesOf(p.Form.value("sources")), Once: p.Form.Once},
		Method: credential.AuthMethod(p.Form.value("method")), Keys: []byte(p.Form.value("jwks")), KeysURL: p.Form.value("jwks_uri")}
	if a, san := p.Form.value("authority"), p.Form.value("named"); a != "" || san != "" {
		n.Named = &credential.CertName{Authority: a, Kind: credential.NameKind(san), Value: san}
	}
	if c := p.Form.value("constrain"); c != "none" {
		n.Constrain = credential.Constraint(c)
	}
	for _, g := range from.Form.Field("grants").Options {
		if slices.Contains(p.Form.Field("grants").Values, g.Value) {
			n.Grants = append(n.Grants, id.ID(g.Value))
		}
	}
	c, value, err := v.Control.RegisterClient(v.r.Context(), v.actor, n)
	switch e := fault.As(err); {
	case err == nil:
	case e.Code == "already-issued":
		return v.alreadyIssued(from.Application)
	case p.Form.refuse(err):
		return v.show(problem.Status(e), p)
	default:
		return err
	}
	return v.showClient(c, value, "Your client", "It can ask for access tokens now.")
}

// showClient shows a client, and its secret if it has a fresh one.
func (v *visit) showClient(c credential.Credential, value secret.Value, title, lead string) error {
	i, err := v.Control.Issuer(v.r.Context(), v.actor, c.Environment)
	if err != nil {
		return err
	}
	done := &clientPage{Secret: value.Reveal(), Credential: c, Endpoint: i.URL + "/token"} // the one place where a client's secret is shown
	done.Title, done.Lead = title, lead
	return v.show(http.StatusOK, done)
}

func certificateForm(p *issuePage) *formPage {
	f := newForm("/certificates",
		p.Form.Field("name"), p.Form.Field("environment"),
		field{Name: "csr", Label: "Signing request", Kind: areaField, Max: 12000, Mono: true, Hint: "PKCS #10 in PEM: our authority makes the certificate. Your key stays with you"},
		field{Name: "certificate", Label: "Or a certificate that you have", Kind: areaField, Max: 12000, Mono: true, Hint: "In PEM: it counts by its thumbprint, until its own end at the latest"},
		field{Name: "authority", Label: "Or one of an authority of the platform's", Kind: textField, Max: 63, Mono: true, Hint: "The authority's name, as the platform has told it to you: any of its certificates counts in which the name below stands"},
		field{Name: "named", Label: "The name in them", Kind: textField, Max: 512, Mono: true, Hint: "A host name, a URI such as spiffe://example.org/service, an IP or e-mail address, or the whole subject, such as CN=client,O=Partner,C=EE"},
		p.Form.Field("grants"), sourcesField(),
		field{Name: "application", Label: "Application", Kind: selectField, Required: true, Options: []option{{Value: string(p.Application.ID), Label: p.Application.Name}}},
	)
	f.set("application", string(p.Application.ID))
	out := &formPage{Form: f, Button: "Enrol the certificate", Back: "/applications/" + string(p.Application.ID)}
	out.Title, out.Lead, out.Trail = "Enrol a client certificate for "+p.Application.Name, "The application proves itself by the certificate of its connection. There is no secret to send.", p.Trail
	return out
}

func askCertificate(v *visit) error {
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
	return v.ok(certificateForm(p))
}

func enrolCertificate(v *visit) error {
	from, err := v.issueOf(v.r.PostForm.Get("application"))
	if err != nil {
		return err
	}
	p := certificateForm(from)
	if !p.Form.read(v.r.PostForm) {
		return v.show(statusOfForm(p.Form), p)
	}
	n := control.NewCertificate{NewKey: control.NewKey{Application: from.Application.ID, Environment: p.Form.value("environment"), Name: p.Form.value("name"),
		Sources: sourcesOf(p.Form.value("sources")), Once: p.Form.Once}, Request: p.Form.value("csr"), Certificate: p.Form.value("certificate")}
	if a, san := p.Form.value("authority"), p.Form.value("named"); a != "" || san != "" {
		n.Named = &credential.CertName{Authority: a, Kind: credential.NameKind(san), Value: san}
	}
	for _, g := range p.Form.Field("grants").Values {
		n.Grants = append(n.Grants, id.ID(g))
	}
	c, text, err := v.Control.EnrolCertificate(v.r.Context(), v.actor, n)
	switch {
	case err == nil:
	case p.Form.refuse(err):
		return v.show(problem.Status(fault.As(err)), p)
	default:
		return err
	}
	done := &clientPage{Credential: c, PEM: text}
	done.Title, done.Lead = "Your certificate", "It counts as soon as the gateways have heard of it."
	return v.show(http.StatusOK, done)
}
