package application_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse/application"
	"gatehouse/fault"
)

func TestClose(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	a, err := application.Application{State: application.Active}.Close("over", now)
	if err != nil || a.State != application.Closed || a.Reason != "over" || !a.Closed.Equal(now) {
		t.Errorf("%+v %v", a, err)
	}
	for _, s := range []application.State{application.Closed, ""} {
		if _, err := (application.Application{State: s}).Close("again", now); !errors.Is(err, fault.Conflict) {
			t.Errorf("closing one that is %q: %v", s, err)
		}
	}
}
