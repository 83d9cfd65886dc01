package adminapi_test

import (
	"testing"

	"gatehouse/adminapi"
	"gatehouse/control"
)

func TestNewNeedsControl(t *testing.T) {
	if _, err := adminapi.New(adminapi.Options{}); err == nil {
		t.Error("an API without control is made")
	}
	if _, err := adminapi.New(adminapi.Options{Control: &control.Control{}}); err != nil {
		t.Error(err)
	}
}
