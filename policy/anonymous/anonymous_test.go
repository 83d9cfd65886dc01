package anonymous_test

import (
	"testing"

	"gatehouse/credential"
	"gatehouse/policy"
	"gatehouse/policy/anonymous"
)

func TestAnonymous(t *testing.T) {
	p, err := anonymous.Kind().Build(nil, policy.Site{}, policy.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	key, _, _ := credential.NewKey("live")
	x := &policy.Exchange{}
	for _, f := range [][2]string{{"X-API-Key", key.Reveal()}, {"Authorization", "bearer " + key.Reveal()}, {"My-Key", key.Reveal()}, {"X-Other", "hello"}, {"Authorization", "Basic eDp5"}} {
		x.Request.Fields.AddString(f[0], f[1])
	}
	if err := p.Request(x); err != nil {
		t.Fatal(err)
	}
	if x.Principal.Known() || x.Principal.Method != policy.Anybody {
		t.Errorf("the principal is %+v", x.Principal)
	}
	left := ""
	for _, f := range x.Request.Fields {
		left += f.Value.String() + "|"
	}
	if left != "|||hello|Basic eDp5|" {
		t.Errorf("what is forwarded: %s", left)
	}
	if n := testing.AllocsPerRun(100, func() { _ = p.Request(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
