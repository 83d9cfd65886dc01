package adminapi_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What is wrong is refused as a problem of a known type, whoever asks and however.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.stage()
	w.partner("other", "Other Bank", "olga@other.example")
	w.play(scenario{name: "an application", as: "member", do: "POST /api/applications", body: `{"name":"one","purpose":"p"}`, status: 201, keep: "app=id"})
	w.play(scenario{name: "a viewer", as: "member", do: "POST /api/machine-tokens", body: `{"name":"look","roles":["viewer"],"expires":"${soon}"}`, status: 201, keep: "viewer=token"})
	w.play(scenario{name: "a device", do: "POST /api/devices", body: `{"client":"gatehouse on build-7"}`, status: 201, keep: "device=device_code"})
	h := func(kv ...string) http.Header {
		out := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i]] = append(out[kv[i]], kv[i+1])
		}
		return out
	}
	unknown := "app_01kas0v2m8c4y6n0q3r5t7w9xz"
	for _, s := range []scenario{
		// Who asks.
		{name: "nobody", do: "GET /api/me", status: 401, kind: "unauthenticated"},
		{name: "an unknown token", do: "GET /api/me", header: h("Authorization", "Bearer ghm_nonsense"), status: 401, kind: "bad-token"},
		{name: "a token on an open path", do: "GET /api/products", header: h("Authorization", "Bearer nonsense"), status: 401, kind: "bad-token"},
		{name: "another scheme", do: "GET /api/me", header: h("Authorization", "Basic YTpi"), status: 401, kind: "bad-token"},
		{name: "two tokens", do: "GET /api/me", header: h("Authorization", "Bearer ${member}", "Authorization", "Bearer ${admin}"), status: 401, kind: "bad-token"},
		{name: "a huge token", do: "GET /api/me", header: h("Authorization", "Bearer "+strings.Repeat("a", 4096)), status: 401, kind: "bad-token"},
		{name: "a cookie", do: "GET /api/me", header: h("Cookie", "session=${member}; __Host-session=${member}"), status: 401, kind: "unauthenticated"},
		{name: "an expired session", as: "viewer", do: "POST /api/applications", body: `{"name":"two","purpose":"p"}`, status: 403, kind: "forbidden"},
		{name: "a machine in person", as: "viewer", do: "POST /api/passwords/change", body: `{"password":"x"}`, status: 403, kind: "in-person"},
		{name: "a member among staff", as: "member", do: "GET /api/staff", status: 403, kind: "forbidden"},
		{name: "a member as approver", as: "member", do: "POST /api/organizations/${memberorg}/verify", body: `{}`, status: 403, kind: "forbidden"},
		{name: "recovery by an admin", as: "admin", do: "POST /api/staff/recovery", body: `{"email":"a@b.example"}`, status: 403, kind: "forbidden"},
		{name: "a wrong password", do: "POST /api/sessions", body: `{"email":"ines@fjord-bank.example","password":"no"}`, status: 401, kind: "wrong-password"},
		{name: "a used link", do: "POST /api/sessions/link", body: `{"token":"${link}"}`, status: 410, kind: "link-over"},
		{name: "a used confirmation", do: "POST /api/confirmations", body: `{"token":"${memberconfirm}"}`, status: 410, kind: "link-over"},

		// Whose it is.
		{name: "another's application", as: "other", do: "GET /api/applications/${app}", status: 404, kind: "not-found"},
		{name: "nobody's application", as: "other", do: "GET /api/applications/" + unknown, status: 404, kind: "not-found"},
		{name: "no identifier", as: "other", do: "GET /api/applications/%27%20OR%201=1%00", status: 404, kind: "not-found"},
		{name: "another kind", as: "other", do: "GET /api/grants/${app}", status: 404, kind: "not-found"},
		{name: "another's organization", as: "other", do: "GET /api/organizations/${memberorg}", status: 404, kind: "not-found"},
		{name: "a list of another's", as: "other", do: "GET /api/applications?organization=${memberorg}", status: 404, kind: "not-found"},
		{name: "in force of nothing", as: "member", do: "GET /api/in-force/req_01kas0v2m8c4y6n0q3r5t7w9xz", status: 404, kind: "not-found"},

		// How it is asked.
		{name: "no path", as: "member", do: "GET /api/nothing", status: 404, kind: "not-found"},
		{name: "no path for nobody", do: "POST /api/", status: 404, kind: "not-found"},
		{name: "another method", as: "member", do: "DELETE /api/applications", status: 405, kind: "method-not-allowed"},
		{name: "an invented method", as: "member", do: "BREW /api/applications", status: 405, kind: "method-not-allowed"},
		{name: "an unknown parameter", as: "member", do: "GET /api/applications?limt=5", status: 422, kind: "invalid", has: []string{`"pointer":"/limt"`}},
		{name: "a parameter twice", as: "member", do: "GET /api/applications?limit=5&limit=6", status: 422, kind: "invalid", has: []string{`"pointer":"/limit"`}},
		{name: "a broken query", as: "member", do: "GET /api/applications?after=%zz", status: 400, kind: "invalid"},
		{name: "no number", as: "member", do: "GET /api/applications?limit=ten", status: 422, kind: "invalid", has: []string{`"pointer":"/limit"`}},
		{name: "too many", as: "member", do: "GET /api/applications?limit=501", status: 422, kind: "invalid", has: []string{`"pointer":"/limit"`}},
		{name: "none", as: "member", do: "GET /api/applications?limit=0", status: 422, kind: "invalid", has: []string{`"pointer":"/limit"`}},
		{name: "a strange page", as: "member", do: "GET /api/applications?after=x", status: 422, kind: "invalid", has: []string{`"pointer":"/after"`}},
		{name: "a strange state", as: "member", do: "GET /api/grants?state=great", status: 422, kind: "invalid", has: []string{`"pointer":"/state"`}},
		{name: "no time", as: "member", do: "GET /api/grants?ending=tomorrow", status: 422, kind: "invalid", has: []string{`"pointer":"/ending"`}},
		{name: "no revision number", as: "admin", do: "GET /api/environments/live/revisions/one", status: 422, kind: "invalid", has: []string{`"pointer":"/number"`}},
		{name: "no revision", as: "admin", do: "GET /api/environments/live/revisions/99", status: 404, kind: "not-found"},
		{name: "no environment", as: "admin", do: "GET /api/environments/moon/revisions", status: 404, kind: "not-found"},

		// What is sent.
		{name: "a form", as: "member", do: "POST /api/applications", body: "name=a&purpose=b", header: h("Content-Type", "application/x-www-form-urlencoded"), status: 415, kind: "unsupported"},
		{name: "no type", as: "member", do: "POST /api/applications", body: `{"name":"a","purpose":"b"}`, header: h("Content-Type", ""), status: 415, kind: "unsupported"},
		{name: "compressed", as: "member", do: "POST /api/applications", body: "xx", header: h("Content-Encoding", "gzip"), status: 415, kind: "unsupported"},
		{name: "no body", as: "member", do: "POST /api/applications", status: 400, kind: "invalid"},
		{name: "null", as: "member", do: "POST /api/applications", body: `null`, status: 422, kind: "invalid"},
		{name: "a list", as: "member", do: "POST /api/applications", body: `[]`, status: 422, kind: "invalid"},
		{name: "half", as: "member", do: "POST /api/applications", body: `{"name":"a"`, status: 400, kind: "invalid", has: []string{"ends too early"}},
		{name: "no JSON", as: "member", do: "POST /api/applications", body: `{name:"a"}`, status: 400, kind: "invalid"},
		{name: "a comma too many", as: "member", do: "POST /api/applications", body: `{"name":"a",}`, status: 400, kind: "invalid"},
		{name: "a comma too few", as: "member", do: "POST /api/applications", body: `{"name":"a" "purpose":"b"}`, status: 400, kind: "invalid"},
		{name: "more after it", as: "member", do: "POST /api/applications", body: `{"name":"a","purpose":"b"}{}`, status: 400, kind: "invalid", has: []string{"follows"}},
		{name: "a name twice", as: "member", do: "POST /api/applications", body: `{"name":"a","purpose":"b","name":"c"}`, status: 400, kind: "invalid", has: []string{"twice"}},
		{name: "a name twice, escaped", as: "member", do: "POST /api/applications", body: `{"name":"a","purpose":"b","n\u0061me":"c"}`, status: 400, kind: "invalid", has: []string{"twice"}},
		{name: "a name in capitals", as: "member", do: "POST /api/applications", body: `{"NAME":"a","purpose":"b"}`, status: 400, kind: "invalid", has: []string{"lower case"}},
		{name: "not UTF-8", as: "member", do: "POST /api/applications", body: "{\"name\":\"\xff\",\"purpose\":\"b\"}", status: 400, kind: "invalid", has: []string{"UTF-8"}},
		{name: "deep", as: "member", do: "POST /api/applications", body: strings.Repeat("[", 100_000), status: 400, kind: "invalid", has: []string{"deep"}},
		{name: "an unknown property", as: "member", do: "POST /api/applications", body: `{"name":"a","purpose":"b","admin":true}`, status: 422, kind: "invalid", has: []string{`"pointer":"/admin"`}},
		{name: "a property left out", as: "member", do: "POST /api/applications", body: `{"name":"a"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/purpose","detail":"must be given"`}},
		{name: "another type", as: "member", do: "POST /api/applications", body: `{"name":7,"purpose":["b"]}`, status: 422, kind: "invalid", has: []string{`"pointer":"/name"`, `"pointer":"/purpose"`}},
		{name: "an empty name", as: "member", do: "POST /api/applications", body: `{"name":" ","purpose":"b"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/name"`}},
		{name: "a zero byte", as: "member", do: "POST /api/applications", body: `{"name":"a\u0000","purpose":"b"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/name"`}},
		{name: "a long name", as: "member", do: "POST /api/applications", body: `{"name":"` + strings.Repeat("a", 200_000) + `","purpose":"b"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/name"`}},
		{name: "too much", as: "member", do: "POST /api/applications", body: `{"name":"` + strings.Repeat("a", 1<<20) + `"}`, status: 413, kind: "too-large"},
		{name: "a manifest by a member", as: "member", do: "POST /api/checks", body: `{"files":{"a":"` + strings.Repeat("a", 1<<20) + `"}}`, status: 413, kind: "too-large"},
		{name: "a manifest of 33 MB", as: "admin", do: "POST /api/checks", body: `{"files":{"a":"` + strings.Repeat("a", 33<<20) + `"}}`, status: 413, kind: "too-large"},
		{name: "a manifest by nobody", do: "POST /api/checks", body: `{"files":{}}`, status: 401, kind: "unauthenticated"},
		{name: "a small manifest by a member", as: "member", do: "POST /api/checks", body: `{"files":{}}`, status: 403, kind: "forbidden"},
		{name: "no base64", as: "admin", do: "POST /api/checks", body: `{"files":{"gatehouse.yaml":"?"}}`, status: 422, kind: "invalid"},
		{name: "no span", as: "member", do: "POST /api/requests", body: `{"application":"${app}","environment":"live","product":"starter","plan":"free","purpose":"p","duration":"a month"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/duration"`}},
		{name: "no time at all", as: "member", do: "POST /api/requests", body: `{"application":"${app}","environment":"live","product":"starter","plan":"free","purpose":"p","duration":"0s"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/duration"`}},
		{name: "a key for no time at all", as: "member", do: "POST /api/credentials", body: `{"application":"${app}","environment":"live","name":"k","lifetime":"0d"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/lifetime"`}},
		{name: "everything wrong", as: "member", do: "POST /api/requests", body: `{"application":"${app}","environment":"live","product":"verification","plan":"standard","purpose":"","scopes":["x"],"duration":"3650d"}`,
			status: 422, kind: "invalid", has: []string{`"pointer":"/purpose"`, `"pointer":"/scopes/0"`, `"pointer":"/duration"`}},
		{name: "a key without a grant", as: "member", do: "POST /api/credentials", body: `{"application":"${app}","environment":"live","name":"k"}`, status: 409, kind: "no-grant"},
		{name: "a key by staff", as: "admin", do: "POST /api/credentials", body: `{"application":"${app}","environment":"live","name":"k"}`, status: 403, kind: "forbidden"},
		{name: "a key that is no form", as: "member", do: "POST /api/applications", body: `{"name":"z","purpose":"b"}`, header: h("Idempotency-Key", "with space"), status: 422, kind: "invalid"},
		{name: "a manifest with mistakes", as: "admin", do: "POST /api/environments/live/revisions", body: `{"files":{"gatehouse.yaml":"Z2F0ZWhvdXNlOiAxCmFwaTogW10K"}}`,
			status: 422, kind: "manifest", has: []string{`"file":"gatehouse.yaml"`, `"line":2`, `"text":"`}},
		{name: "another place", as: "admin", do: "POST /api/environments/moon/revisions", body: `{"files":${files}}`, status: 422, kind: "invalid", has: []string{`"pointer":"/environment"`}},
		{name: "a backup elsewhere", as: "admin", do: "POST /api/backups", body: `{"file":"../../etc/cron.d/x"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/file"`}},
		{name: "the last admin", as: "admin", do: "PATCH /api/staff/${adminid}", body: `{"state":"disabled"}`, status: 409, kind: "last-admin"},
		{name: "no such role", as: "admin", do: "PATCH /api/staff/${operatorid}", body: `{"roles":["god"]}`, status: 422, kind: "invalid", has: []string{`"pointer":"/roles"`}},

		// A sign-in that waits.
		{name: "nobody has allowed it", do: "POST /api/devices/token", body: `{"device_code":"${device}"}`, status: 400, kind: "authorization-pending"},
		{name: "too soon", do: "POST /api/devices/token", body: `{"device_code":"${device}"}`, status: 400, kind: "slow-down"},
		{name: "no such sign-in", do: "POST /api/devices/token", body: `{"device_code":"ghd_nonsense"}`, status: 410, kind: "expired-token"},
		{name: "a wrong code", as: "member", do: "GET /api/devices/BCDF-GHJK", status: 404, kind: "not-found"},

		// Which version.
		{name: "an old version", as: "member", do: "PATCH /api/applications/${app}", body: `{"name":"late"}`, header: h("If-Match", `"7"`), status: 412, kind: "stale"},
		{name: "a weak version", as: "member", do: "PATCH /api/applications/${app}", body: `{"name":"late"}`, header: h("If-Match", `W/"1"`), status: 412, kind: "stale"},
		{name: "another's version", as: "member", do: "PATCH /api/applications/${app}", body: `{"name":"late"}`, header: h("If-Match", `"abc"`), status: 412, kind: "stale"},
		{name: "no version", as: "member", do: "PATCH /api/applications/${app}", body: `{"name":"late"}`, header: h("If-Match", `1`), status: 422, kind: "invalid", has: []string{`"pointer":"/If-Match"`}},
		{name: "two versions", as: "member", do: "PATCH /api/applications/${app}", body: `{"name":"late"}`, header: h("If-Match", `"1"`, "If-Match", `"2"`), status: 422, kind: "invalid"},
		{name: "a list of versions", as: "member", do: "PATCH /api/applications/${app}", body: `{"name":"late"}`, header: h("If-Match", `"1", "2"`), status: 422, kind: "invalid"},
	} {
		w.play(s)
	}
	w.play(scenario{name: "any version", as: "member", do: "PATCH /api/applications/${app}", body: `{"name":"new"}`, header: h("If-Match", "*"), status: 200, has: []string{`"version":2`}})
}

// Whoever asks too often is told when to come again.
func TestTooOften(t *testing.T) {
	w := newWorld(t)
	for range 1000 {
		res, err := http.Post(w.started.Portal+"/api/devices", "application/json", strings.NewReader(`{"client":"again"}`))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusTooManyRequests {
			if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err != nil || n < 1 {
				t.Errorf("Retry-After is %q", res.Header.Get("Retry-After"))
			}
			return
		}
	}
	t.Error("1000 sign-ins were begun from one address")
}

// Two approvers at the same moment: one decides, the other is told that it is decided.
func TestTwoApprovers(t *testing.T) {
	w := newWorld(t)
	w.stage()
	w.play(scenario{name: "an application", as: "member", do: "POST /api/applications", body: `{"name":"one","purpose":"p"}`, status: 201, keep: "app=id"})
	w.play(scenario{name: "ask", as: "member", do: "POST /api/requests", body: `{"application":"${app}","environment":"live","product":"verification","plan":"standard","purpose":"p"}`, status: 201, keep: "req=id"})
	var wg sync.WaitGroup
	answers := make([]int, 2)
	for i, who := range []string{"approver", "admin"} {
		req, err := http.NewRequest(http.MethodPost, w.started.Portal+"/api/requests/"+w.kept["req"]+"/decisions", strings.NewReader(`{"approve":true}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"Bearer " + w.kept[who]}, "Content-Type": {"application/json"}, "If-Match": {`"1"`}}
		wg.Go(func() {
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			answers[i] = res.StatusCode
		})
	}
	wg.Wait()
	if answers[0]+answers[1] != http.StatusOK+http.StatusPreconditionFailed {
		t.Errorf("answered %v, want one 200 and one 412", answers)
	}
}

// What net/http's client does not send.
func TestRawRequests(t *testing.T) {
	w := newWorld(t)
	address := strings.TrimPrefix(w.started.Portal, "http://")
	for name, c := range map[string]struct{ send, want string }{
		"a head of 1 MB":        {"GET /api/me HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", "431"},
		"a body that lies":      {"POST /api/devices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{}", "413"},
		"two kinds of length":   {"POST /api/devices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}", "400"},
		"chunks without an end": {"POST /api/devices HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			go io.WriteString(conn, c.send) // the server may stop reading before it is all sent
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+c.want) {
				t.Errorf("answered %q, %v; want %s", line, err, c.want)
			}
		})
	}
}
