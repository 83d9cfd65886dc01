package link

import (
	"bufio"
	"bytes"
	"testing"
)

// Of receipts that arrived together the newest is judged, and nothing behind them is taken.
func TestNewestReceipt(t *testing.T) {
	var sent bytes.Buffer
	for _, f := range []struct {
		kind byte
		body string
	}{{frameReceipt, "2"}, {frameReceipt, "3"}, {framePing, "ping"}, {frameReceipt, "4"}} {
		b, err := pack(f.kind, f.body)
		if err != nil {
			t.Fatal(err)
		}
		sent.Write(b)
	}
	cut := append([]byte(nil), sent.Bytes()[:frameBegin+2]...) // without the last byte of the first
	in := bufio.NewReader(&sent)
	if _, err := in.Peek(1); err != nil {
		t.Fatal(err)
	}
	if got := newest(in, []byte(`"1"`)); string(got) != `"3"` {
		t.Errorf("%s is the newest", got)
	}
	if kind, body, err := unpack(in); kind != framePing || string(body) != `"ping"` || err != nil {
		t.Errorf("after it comes %c %s, %v", kind, body, err)
	}
	part := bufio.NewReader(bytes.NewReader(cut))
	if _, err := part.Peek(1); err != nil {
		t.Fatal(err)
	}
	if got := newest(part, []byte(`"1"`)); string(got) != `"1"` {
		t.Errorf("%s is the newest of one and a part", got)
	}
	if n := part.Buffered(); n != len(cut) {
		t.Errorf("%d of %d bytes of the part are left", n, len(cut))
	}
}
