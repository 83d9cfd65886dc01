package manifest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/fault"
	"gatehouse/rule"
)

// dataClasses is the classes of data that a product can be of, the least first.
func dataClasses() []string { return []string{"public", "internal", "personal", "sensitive"} }

// Ruled is what the rules of an approval say: the name of the first that holds, and what it says; "" and people where none
// does. An error names the rule that gave no answer: then people decide.
func (a Approval) Ruled(f rule.Facts) (name, then, reason string, err error) {
	for _, r := range a.Rules {
		c, err := rule.Compile(r.When)
		if err != nil {
			return r.Name, rule.People, "", err
		}
		holds, err := c.Holds(f)
		if err != nil {
			return r.Name, rule.People, "", err
		}
		if holds {
			return r.Name, r.Then, r.Reason, nil
		}
	}
	return "", rule.People, "", nil
}

// rules checks the rules of an approval and runs its examples.
func (c *check) rules(at string, r *Product, l *Plan) {
	a, good := &l.Approval, true
	for i, u := range a.Rules {
		below := fmt.Sprintf("%s/rules/%d", at, i)
		before := c.ds.errors
		if u.Name == "" {
			c.bad(below, "the rule needs a name: the record of each decision holds it")
		}
		c.words(below+"/name", u.Name, maxTitle)
		c.words(below+"/reason", u.Reason, maxTitle)
		if slices.ContainsFunc(a.Rules[:i], func(o Rule) bool { return o.Name == u.Name }) {
			c.bad(below+"/name", "another rule is named %s", clip(u.Name))
		}
		switch u.Then {
		case rule.Approve, rule.People:
			if u.Then == rule.People && a.Automatic {
				c.bad(below+"/then", "leaves it to people, and the plan approves automatically: declare stages instead of automatic")
			}
		case rule.Refuse:
			if u.Reason == "" {
				c.bad(below, "a rule that refuses needs a reason: the partner sees it")
			}
		default:
			c.bad(below, "say what the rule does with then: %s, %s or %s", rule.Approve, rule.Refuse, rule.People)
		}
		if _, err := rule.Compile(u.When); err != nil {
			c.bad(below+"/when", "%s", fault.As(err).Public)
		}
		good = good && c.ds.errors == before
	}
	if len(a.Rules) == 0 && len(a.Examples) > 0 {
		c.bad(at+"/examples", "there are no rules that they could test")
		return
	}
	if len(a.Rules) > 0 && len(a.Examples) == 0 {
		c.warn(at+"/rules", "no example shows what they decide: add examples, which are run whenever the manifest is checked")
	}
	for i, x := range a.Examples {
		if good {
			c.example(fmt.Sprintf("%s/examples/%d", at, i), r, l, x)
		}
	}
}

// example runs one example, and says what came out if that is not what it expects.
func (c *check) example(at string, r *Product, l *Plan, x Example) {
	if !slices.Contains([]string{rule.Approve, rule.Refuse, rule.People}, x.Then) {
		c.bad(at, "say what is expected with then: %s, %s or %s", rule.Approve, rule.Refuse, rule.People)
		return
	}
	f := rule.Facts{Scopes: x.Scopes, Product: r.Name, Plan: l.Name, Environment: x.Environment, Sort: x.Sort, DataClass: r.DataClass,
		Duration: time.Duration(x.Duration), Country: x.Country, VerifiedFor: time.Duration(x.VerifiedFor), Standing: x.Standing}
	name, then, _, err := l.Approval.Ruled(f)
	switch {
	case err != nil:
		c.bad(at, "the rule %s gives no answer to it: %v", name, err)
	case then != x.Then && name == "":
		c.bad(at, "expects %s, and no rule holds: people decide", x.Then)
	case then != x.Then:
		c.bad(at, "expects %s, and the rule %s says %s", x.Then, name, then)
	}
}

// dataClass checks the class of a product's data.
func (c *check) dataClass(at, class string) {
	if class != "" && !slices.Contains(dataClasses(), class) {
		c.bad(at, "%q is no class of data: those are %s", clip(class), strings.Join(dataClasses(), ", "))
	}
}
