package requestsize_test

import (
	"encoding/json"
	"testing"

	"gatehouse/fault"
	"gatehouse/policy"
	"gatehouse/policy/requestsize"
)

func TestRequestSize(t *testing.T) {
	for _, c := range []struct {
		max    string
		length int64
		limit  int64
		ok     bool
	}{
		{`"64KB"`, 64000, 64000, true}, {`"64KB"`, 64001, 64000, false}, {`"64KiB"`, 65536, 65536, true}, {`"10MB"`, -1, 10_000_000, true},
		{`"1GiB"`, 0, 1 << 30, true}, {`512`, 513, 512, false}, {`"512"`, 512, 512, true}, {`"1B"`, 1, 1, true},
	} {
		p, err := requestsize.Kind().Build(json.RawMessage(`{"max": `+c.max+`}`), policy.Site{}, policy.Deps{})
		if err != nil {
			t.Errorf("%s: %v", c.max, err)
			continue
		}
		x := &policy.Exchange{}
		x.Request.Length = c.length
		err = p.Request(x)
		if (err == nil) != c.ok || x.BodyLimit != c.limit || err != nil && fault.KindOf(err) != fault.TooLarge {
			t.Errorf("%s, %d bytes: %v, limit %d", c.max, c.length, err, x.BodyLimit)
		}
		if c.ok {
			if n := testing.AllocsPerRun(100, func() { _ = p.Request(x) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		}
	}
}

func TestSettings(t *testing.T) {
	for _, max := range []string{``, `"max": ""`, `"max": "0"`, `"max": "-1KB"`, `"max": "1XB"`, `"max": "KB"`, `"max": "1 KB"`, `"max": "+1"`,
		`"max": "9999999999GB"`, `"max": 1.5`, `"max": true`, `"max": null`, `"max": "1kb"`} {
		if _, err := requestsize.Kind().Build(json.RawMessage(`{`+max+`}`), policy.Site{}, policy.Deps{}); fault.KindOf(err) != fault.Invalid || err == nil {
			t.Errorf("{%s}: %v", max, err)
		}
	}
}
