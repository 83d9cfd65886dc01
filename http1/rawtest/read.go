package rawtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// A Message is one request as this package reads it: a second opinion on http1's, written apart from it and as plainly as
// can be.
type Message struct {
	Method, Target string
	Fields         []string // lower-case name: value
	Body           string
}

// Read takes the first request of raw apart. It knows nothing but the strictest form.
func Read(raw string) (m Message, rest string, err error) {
	head, rest, ok := strings.Cut(raw, "\r\n\r\n")
	if !ok {
		return Message{}, "", errors.New("no end of head")
	}
	lines := strings.Split(head, "\r\n")
	for i := 0; i < len(head); i++ {
		if c := head[i]; c != '\r' && c != '\n' && c != '\t' && (c < ' ' || c == 0x7f) {
			return Message{}, "", fmt.Errorf("control byte %#x", c)
		}
	}
	if strings.Contains(strings.Join(lines, ""), "\r") || strings.Contains(strings.Join(lines, ""), "\n") {
		return Message{}, "", errors.New("bare CR or LF")
	}
	first := strings.Split(lines[0], " ")
	if len(first) != 3 || first[2] != "HTTP/1.1" || !strings.HasPrefix(first[1], "/") {
		return Message{}, "", fmt.Errorf("request line %q", lines[0])
	}
	m = Message{Method: first[0], Target: first[1]}
	count := map[string]int{}
	value := map[string]string{}
	for _, l := range lines[1:] {
		name, v, ok := strings.Cut(l, ": ")
		name = strings.ToLower(name)
		if !ok || name == "" || strings.Trim(v, " \t") != v || strings.ContainsAny(name, " \t\"(),/:;<=>?@[\\]{}") {
			return Message{}, "", fmt.Errorf("field line %q", l)
		}
		for i := 0; i < len(name); i++ {
			if name[i] >= 0x80 {
				return Message{}, "", fmt.Errorf("field name %q", name)
			}
		}
		switch letters := strings.Map(onlyLetters, name); {
		case name == letters:
		case letters == "contentlength" && name != "content-length", letters == "transferencoding" && name != "transfer-encoding", letters == "host",
			strings.Contains(letters, "transferencoding") && name != "transfer-encoding" && name != "content-transfer-encoding":
			return Message{}, "", fmt.Errorf("field name %q", name)
		}
		count[name]++
		value[name] = v
		m.Fields = append(m.Fields, name+": "+v)
	}
	switch {
	case count["host"] != 1:
		return Message{}, "", errors.New("not one Host")
	case count["content-length"]+count["transfer-encoding"] > 1:
		return Message{}, "", errors.New("framed twice")
	case count["transfer-encoding"] == 1:
		if value["transfer-encoding"] != "chunked" {
			return Message{}, "", errors.New("transfer-encoding")
		}
		for {
			line, after, ok := strings.Cut(rest, "\r\n")
			n, err := strconv.ParseUint(line, 16, 31)
			if !ok || err != nil || len(after) < int(n)+2 || after[n:n+2] != "\r\n" && n > 0 {
				return Message{}, "", fmt.Errorf("chunk %q", rest)
			}
			if n == 0 {
				_, after, ok := strings.Cut("\r\n"+after, "\r\n\r\n")
				if !ok {
					return Message{}, "", errors.New("no end of trailer")
				}
				return m, after, nil
			}
			m.Body += after[:n]
			rest = after[n+2:]
		}
	case count["content-length"] == 1:
		n, err := strconv.Atoi(value["content-length"])
		if err != nil || n > len(rest) || strconv.Itoa(n) != value["content-length"] {
			return Message{}, "", fmt.Errorf("content-length %q", value["content-length"])
		}
		m.Body, rest = rest[:n], rest[n:]
	}
	return m, rest, nil
}

func onlyLetters(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r
	}
	return -1
}

// ReadAll takes all that a connection sent apart, twice: as this package reads it and as net/http does. It fails unless both
// agree in everything and nothing is left.
func ReadAll(raw string) ([]Message, error) {
	var ours []Message
	for rest := raw; rest != ""; {
		m, after, err := Read(rest)
		if err != nil {
			return ours, fmt.Errorf("%q cannot be read in one way: %w", rest, err)
		}
		ours, rest = append(ours, m), after
	}
	r := bufio.NewReader(strings.NewReader(raw))
	for i := 0; ; i++ {
		req, err := http.ReadRequest(r)
		if err == io.EOF && i == len(ours) {
			return ours, nil
		}
		if err != nil || i >= len(ours) {
			return ours, fmt.Errorf("%q: net/http reads %d messages and then %v, this test %d", raw, i, err, len(ours))
		}
		body, err := io.ReadAll(req.Body)
		if err != nil || req.Method != ours[i].Method || req.RequestURI != ours[i].Target || string(body) != ours[i].Body {
			return ours, fmt.Errorf("%q: net/http reads %s %s %q (%v), this test %+v", raw, req.Method, req.RequestURI, body, err, ours[i])
		}
	}
}
