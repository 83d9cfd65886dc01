package portal

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/identity"
)

// everyPage is one of each page there is.
func everyPage() []page {
	return []page{
		&absencesPage{}, &acceptancePage{}, &accessPage{}, &accountPage{}, &applicationPage{}, &applicationsPage{}, &auditPage{}, &cataloguePage{}, &credentialPage{},
		&webhooksPage{}, &webhookPage{}, &newWebhookPage{},
		&reviewsPage{}, &reviewPage{}, &questionPage{}, &secondPage{}, &passkeyPage{}, &enrolPage{}, &codesPage{},
		&dashboardPage{}, &driftBundlePage{}, &driftFindingPage{}, &driftPage{}, &driftWaiversPage{}, &decisionPage{}, &deedPage{}, &devicePage{}, &entryPage{}, &environmentPage{}, &environmentsPage{}, &errorPage{},
		&formPage{}, &grantPage{}, &grantsPage{}, &homePage{}, &issuePage{}, &keyPage{}, &clientPage{}, &keysPage{}, &lettersPage{}, &linkPage{},
		&enrolmentDonePage{}, &fleetPage{}, &messagePage{}, &newPasswordPage{}, &newTokenPage{}, &initialTokensPage{}, &newInitialPage{}, &organizationPage{}, &organizationsPage{}, &peoplePage{}, &problemPage{},
		&problemsPage{}, &productPage{}, &queuePage{}, &reachPage{}, &referencePage{}, &registerPage{}, &requestPage{}, &requestsPage{}, &usagePage{}, &inventoryPage{}, &inventoryEntryPage{},
		&revisionPage{}, &sentPage{}, &signInPage{}, &tokensPage{}, &undeliveredPage{}, &verificationPage{},
	}
}

// TestEveryTemplateHasItsPage finds a template without a page, a page without a template, and a page that this file forgot.
func TestEveryTemplateHasItsPage(t *testing.T) {
	listed := map[string]bool{}
	for _, p := range everyPage() {
		if listed[p.template()] {
			t.Errorf("two pages use the template %s", p.template())
		}
		listed[p.template()] = true
	}
	files, err := fs.Glob(templateFiles, "templates/[a-z]*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".html"); !listed[name] {
			t.Errorf("the template %s belongs to no page of everyPage", name)
		} else {
			delete(listed, name)
		}
	}
	for name := range listed {
		t.Errorf("there is no template %s", name)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	for _, f := range sources {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		declared += len(regexp.MustCompile(`(?m)^func \(\*\w+\) template\(\) string`).FindAll(b, -1))
	}
	if declared != len(everyPage()) {
		t.Errorf("the package declares %d pages, everyPage lists %d", declared, len(everyPage()))
	}
}

// TestPagesHideNothingOfTheFrame finds a page's field with the name of one of the frame's: the layout would show it.
func TestPagesHideNothingOfTheFrame(t *testing.T) {
	around := reflect.TypeFor[frame]()
	for _, p := range everyPage() {
		of := reflect.TypeOf(p).Elem()
		for i := range of.NumField() {
			f := of.Field(i)
			if _, hides := around.FieldByName(f.Name); hides && !f.Anonymous {
				t.Errorf("%s.%s hides the frame's", of.Name(), f.Name)
			}
			if _, hides := reflect.TypeFor[*frame]().MethodByName(f.Name); hides {
				t.Errorf("%s.%s hides a method of the frame", of.Name(), f.Name)
			}
		}
	}
}

// TestEveryPageRenders executes every template with nothing in it, and with everything in it, for each kind of viewer. What
// stands in every text would break out of the page if anything were not escaped.
func TestEveryPageRenders(t *testing.T) {
	a, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	all, err := loadTemplates(a, newMarkdown())
	if err != nil {
		t.Fatal(err)
	}
	viewers := map[string]identity.Actor{
		"visitor": {},
		"member":  {Class: identity.Member, Name: "Ines", Roles: []identity.Role{identity.Owner}},
		"staff":   {Class: identity.Staff, Name: "Ada", Roles: []identity.Role{identity.Admin}},
		"auditor": {Class: identity.Staff, Name: "Otto", Roles: []identity.Role{identity.Auditor}},
	}
	for _, p := range everyPage() {
		for _, filled := range []bool{false, true} {
			for who, actor := range viewers {
				q := reflect.New(reflect.TypeOf(p).Elem())
				if filled {
					fillIn(q.Elem(), 0)
				}
				one := q.Interface().(page)
				f := one.around()
				f.Actor, f.Theme, f.Now, f.Groups = actor, "auto", time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), nil
				f.Groups = navigation(f)
				var b strings.Builder
				if err := all[one.template()].ExecuteTemplate(&b, "layout", one); err != nil {
					t.Errorf("%s for a %s, filled %v: %v", one.template(), who, filled, err)
					continue
				}
				if strings.Contains(b.String(), "<script>boo") || strings.Contains(b.String(), "ZgotmplZ") {
					t.Errorf("%s for a %s: a text broke out, or was not taken", one.template(), who)
				}
				if filled {
					wellFormed(t, one.template()+" for a "+who, b.String())
				}
			}
		}
	}
}

// hostile is in every text of a filled page.
const hostile = "<script>boo</script>\"'><img src=x onerror=boo> \u202e"

// fillIn puts something into every field.
func fillIn(v reflect.Value, depth int) {
	if depth > 7 || !v.CanSet() {
		return
	}
	if _, ok := v.Interface().(time.Time); ok {
		v.Set(reflect.ValueOf(time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Float64:
		v.SetFloat(3.5)
	case reflect.Uint8:
		v.SetUint(2)
	case reflect.Struct:
		for i := range v.NumField() {
			fillIn(v.Field(i), depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fillIn(v.Index(i), depth+1)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(v.Elem(), depth+1)
	}
}

// wellFormed finds the mistakes that browsers forgive: an element that is not closed, an attribute that stands twice, an
// element that names a place which is not on the page.
func wellFormed(t *testing.T, what, page string) {
	t.Helper()
	void := map[string]bool{"meta": true, "link": true, "input": true, "br": true, "hr": true, "img": true, "wbr": true, "path": true, "rect": true, "circle": true}
	var open []string
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if len(open) > 0 {
				t.Errorf("%s: not closed: %v", what, open)
			}
			return
		case html.StartTagToken:
			tok := z.Token()
			seen := map[string]bool{}
			for _, a := range tok.Attr {
				if seen[a.Key] {
					t.Errorf("%s: <%s> has %s twice", what, tok.Data, a.Key)
				}
				seen[a.Key] = true
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: <%s> has %s, which the policy forbids", what, tok.Data, a.Key)
				}
			}
			if !void[tok.Data] {
				open = append(open, tok.Data)
			}
		case html.EndTagToken:
			name := z.Token().Data
			if void[name] {
				continue
			}
			if len(open) == 0 || open[len(open)-1] != name {
				t.Errorf("%s: </%s> closes %v", what, name, open)
				return
			}
			open = open[:len(open)-1]
		}
	}
}
