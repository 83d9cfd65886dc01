package portal

import (
	"net/url"

	"gatehouse/control"
	"gatehouse/identity"
)

// homePage is what anybody sees first.
type homePage struct {
	frame
	Products []productCard
}

func (*homePage) template() string { return "home" }

func home(v *visit) error {
	p := &homePage{}
	p.Title, p.Bare, p.Open = "Who may call what, and until when", true, true
	for i, x := range v.catalogue() {
		if i < 3 {
			p.Products = append(p.Products, v.productCard(x))
		}
	}
	return v.ok(p)
}

// productCard is a product in a list.
type productCard struct {
	Href, Title, Text, Owner string
	Environments             []string
	Plans, Operations        int
	APIs                     []string
}

func (v *visit) productCard(x control.CatalogueProduct) productCard {
	c := productCard{
		Href: "/catalogue/" + url.PathEscape(x.Name), Title: titleOf(x.Title, x.Name), Text: v.markdown.firstParagraph(x.Description), Owner: x.Owner,
		Environments: x.Environments, Plans: len(x.Plans),
	}
	if app := v.r.URL.Query().Get("application"); app != "" { // somebody looks for something for it
		c.Href += "?application=" + url.QueryEscape(app)
	}
	for _, a := range x.APIs {
		c.Operations += len(a.Operations)
		c.APIs = append(c.APIs, titleOf(a.Title, a.Name))
	}
	return c
}

func titleOf(title, name string) string {
	if title == "" {
		return name
	}
	return title
}

// robots is GET /robots.txt: pages behind a sign-in are no use to a search engine.
func robots(v *visit) error {
	v.written = true
	v.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	v.w.Header().Set("Cache-Control", "public, max-age=86400")
	_, _ = v.w.Write([]byte("User-agent: *\nAllow: /$\nAllow: /catalogue\nDisallow: /\n")) // the robot may have gone
	return nil
}

// start is where somebody who has just signed in goes.
func start(a identity.Actor) string {
	if a.Class == identity.Staff {
		return "/queue"
	}
	return "/dashboard"
}
