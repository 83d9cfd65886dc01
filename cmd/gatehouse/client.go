package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cli is what all commands share.
type cli struct {
	out, err                    io.Writer
	in                          io.Reader
	environ                     func(string) string
	server, token, data, format string
}

// access is how a Gatehouse is reached: where, and as whom. It is also the form of the files that keep it.
type access struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// maxAnswer bounds what is read of one answer.
const maxAnswer = 256 << 20

// loginFile is where `gatehouse login` keeps a token: readable by its owner only.
func (c *cli) loginFile() (string, error) {
	if f := c.environ("GATEHOUSE_LOGIN_FILE"); f != "" {
		return f, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no place to keep the sign-in: %w; set GATEHOUSE_LOGIN_FILE", err)
	}
	return filepath.Join(dir, "gatehouse", "login.json"), nil
}

// find says which Gatehouse to ask and as whom: flags, then the environment, then the last login, then this host's.
func (c *cli) find() (access, error) {
	a := access{URL: first(c.server, c.environ("GATEHOUSE_URL")), Token: first(c.token, c.environ("GATEHOUSE_TOKEN"))}
	if a.URL != "" && a.Token != "" {
		return a, nil
	}
	var kept []access
	login, err := c.loginFile()
	if err == nil {
		if k, err := readAccess(login); err == nil {
			kept = append(kept, k)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return a, err
		}
	}
	host := filepath.Join(c.data, "host.json")
	switch k, err := readAccess(host); {
	case err == nil:
		kept = append(kept, k)
	case errors.Is(err, fs.ErrPermission):
		return a, fmt.Errorf("%s belongs to the owner of the data directory: run as them, or use 'gatehouse login'", host)
	case !errors.Is(err, fs.ErrNotExist):
		return a, err
	}
	for _, k := range kept {
		if a.URL == "" || strings.TrimRight(a.URL, "/") == strings.TrimRight(k.URL, "/") {
			return access{URL: k.URL, Token: first(a.Token, k.Token)}, nil
		}
	}
	if a.URL != "" {
		return a, nil // without a token: some things are for everybody
	}
	return a, fmt.Errorf("no Gatehouse to ask: none runs in %s. Start one with 'gatehouse serve', name one with --server, or use 'gatehouse login --server URL'", c.data)
}

func readAccess(file string) (access, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return access{}, err
	}
	var a access
	if err := json.Unmarshal(b, &a); err != nil || a.URL == "" {
		return access{}, fmt.Errorf("%s cannot be read; remove it and sign in again", file)
	}
	return a, nil
}

func first(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

// problem is the answer of a request that did not succeed (RFC 9457).
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
	Errors    []struct {
		File    string `json:"file"`
		Line    int    `json:"line"`
		Pointer string `json:"pointer"`
		Text    string `json:"text"`
		Detail  string `json:"detail"`
	} `json:"errors"`
}

// code is the stable name of the problem.
func (p *problem) code() string { return p.Type[strings.LastIndexByte(p.Type, '/')+1:] }

func (p *problem) Error() string {
	var b strings.Builder
	b.WriteString(first(p.Detail, p.Title))
	for _, e := range p.Errors {
		b.WriteString("\n  ")
		if e.File != "" {
			fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
		}
		if e.Pointer != "" {
			b.WriteString(e.Pointer + ": ")
		}
		b.WriteString(first(e.Text, e.Detail))
	}
	switch p.Status {
	case http.StatusUnauthorized:
		b.WriteString("\nSign in with 'gatehouse login', or set GATEHOUSE_TOKEN")
	case http.StatusPreconditionFailed:
		b.WriteString("\nSomebody changed it meanwhile: look again, then repeat")
	}
	if p.Status >= 500 && p.RequestID != "" {
		b.WriteString("\n(request " + p.RequestID + ")")
	}
	return b.String()
}

// call asks the admin API and decodes its answer into out, which may be nil.
func (c *cli) call(ctx context.Context, method, path string, in, out any) error {
	a, err := c.find()
	if err != nil {
		return err
	}
	return a.call(ctx, method, path, in, out)
}

func (a access) call(ctx context.Context, method, path string, in, out any) error {
	u, err := url.Parse(a.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return usage("%q is no address of a Gatehouse: say it like https://gatehouse.example", a.URL)
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(a.URL, "/")+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token)
	}
	if method == http.MethodPost {
		req.Header.Set("Idempotency-Key", rand.Text())
	}
	req.Header.Set("User-Agent", "gatehouse-cli/"+version)
	client := http.Client{Timeout: 2 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // a token goes to the server it is for
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer from %s: %w", a.URL, errors.Unwrap(err))
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the answer of %s broke off: %w", a.URL, err)
	}
	if res.StatusCode >= 300 {
		p := &problem{Status: res.StatusCode}
		if json.Unmarshal(raw, p) != nil || first(p.Title, p.Detail) == "" {
			p.Title = fmt.Sprintf("%s answers %s, which is not what a Gatehouse says", a.URL, res.Status)
		}
		return p
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("the answer of %s is not what this version understands (%w): is it another version?", a.URL, err)
	}
	return nil
}

// list is one page of the admin API.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// all asks page by page until limit items are there; 0 takes all there are. more says that there would be others.
func all[T any](ctx context.Context, c *cli, path string, q url.Values, limit int) (items []T, more bool, err error) {
	items = []T{}
	for {
		size := 200
		if limit > 0 {
			size = min(size, limit-len(items))
		}
		q.Set("limit", fmt.Sprint(size))
		var page list[T]
		if err := c.call(ctx, http.MethodGet, path+"?"+q.Encode(), nil, &page); err != nil {
			return nil, false, err
		}
		items = append(items, page.Items...)
		if page.Next == "" || (limit > 0 && len(items) >= limit) {
			return items, page.Next != "", nil
		}
		q.Set("after", page.Next)
	}
}

// download gets a file, and the key that verifies it.
func (a access) download(ctx context.Context, path, file string) (key string, n int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(a.URL, "/")+path, nil)
	if err != nil {
		return "", 0, err
	}
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0, fmt.Errorf("no answer from %s: %w", a.URL, errors.Unwrap(err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		p := &problem{Status: res.StatusCode}
		raw, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if json.Unmarshal(raw, p) != nil || first(p.Title, p.Detail) == "" {
			p.Title = a.URL + " answers " + res.Status
		}
		return "", 0, p
	}
	n, err = imageTemp(file, res.Body)
	return res.Header.Get("X-Feed-Key"), n, err
}

func dirOf(file string) string { return filepath.Dir(file) }
