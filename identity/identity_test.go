package identity_test

import (
	"testing"

	"gatehouse/identity"
)

func TestHas(t *testing.T) {
	a := identity.Actor{Class: identity.Staff, Roles: []identity.Role{identity.Approver, identity.Operator}}
	if !a.Has(identity.Operator) || !a.Has(identity.Admin, identity.Approver) || a.Has(identity.Admin) || a.Has() || (identity.Actor{}).Has(identity.Admin) {
		t.Errorf("roles of %+v", a)
	}
}

func TestEveryClassHasAWord(t *testing.T) {
	for c, want := range map[identity.Class]string{identity.Anonymous: "anonymous", identity.Member: "member", identity.Staff: "staff",
		identity.Machine: "machine", identity.Host: "host", identity.System: "system"} {
		if got := c.String(); got != want {
			t.Errorf("class %d is %q, want %q", c, got, want)
		}
	}
	if (identity.Actor{}).Class != identity.Anonymous {
		t.Error("the zero actor is somebody")
	}
}
