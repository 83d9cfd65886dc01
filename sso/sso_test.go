package sso_test

import (
	"testing"

	"gatehouse/secret"
	"gatehouse/sso"
)

func TestAFlowFollowsFromItsTicket(t *testing.T) {
	a, again, b := sso.NewFlow(secret.New("a")), sso.NewFlow(secret.New("a")), sso.NewFlow(secret.New("b"))
	if a != again || a == b {
		t.Error("a flow is not its ticket's")
	}
	if a.State == a.Nonce || a.Nonce == a.Verifier || len(a.Verifier) != 43 { // RFC 7636 §4.1
		t.Errorf("the flow is %+v", a)
	}
}
