package adminapi_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

const password = "correct horse battery staple 7"

// stage signs the people of the story in: kept are the tokens admin, approver, operator and member, and the verified
// organization org.
func (w *world) stage() {
	w.Helper()
	w.play(scenario{name: "the first admin signs in", do: "POST /api/sessions/link", body: `{"token":"${link}"}`, status: 201, keep: "admin=token adminid=person.id"})
	for role, name := range map[string]string{"approver": "Asta", "operator": "Omar"} {
		w.play(scenario{name: "staff", as: "admin", do: "POST /api/staff", body: `{"email":"` + role + `@platform.example","name":"` + name + `","roles":["` + role + `"]}`,
			status: 201, keep: role + "id=id"})
		w.letter(role+"@platform.example", "/signin/link", role+"link")
		w.play(scenario{name: "they sign in", do: "POST /api/sessions/link", body: `{"token":"${` + role + `link}"}`, status: 201, keep: role + "=token"})
	}
	w.partner("member", "Fjord Bank", "ines@fjord-bank.example")
	w.play(scenario{name: "verify", as: "operator", do: "POST /api/organizations/${memberorg}/verify", body: `{"note":"register seen"}`, status: 200, has: []string{`"state":"verified"`}})
}

// partner registers an organization, and keeps its member's token and organization.
func (w *world) partner(keep, organization, email string) {
	w.Helper()
	w.play(scenario{name: "register", do: "POST /api/registrations", status: 202, body: `{"organization":"` + organization + `","country":"no","name":"Ines",
		"email":"` + email + `","password":"` + password + `"}`})
	w.letter(email, "/confirm", keep+"confirm")
	w.play(scenario{name: "confirm", do: "POST /api/confirmations", body: `{"token":"${` + keep + `confirm}"}`, status: 200, has: []string{`"state":"active"`}})
	w.play(scenario{name: "sign in", do: "POST /api/sessions", body: `{"email":"` + strings.ToUpper(email) + `","password":"` + password + `"}`, status: 201,
		keep: keep + "=token " + keep + "org=person.organization " + keep + "id=person.id"})
}

// The whole story, by whoever may, each answer held against the document. In the end every operation was reached.
func TestStory(t *testing.T) {
	w := newWorld(t)
	w.stage()
	for _, s := range []scenario{
		{name: "who am I", as: "member", do: "GET /api/me", status: 200, has: []string{`"class":"member"`, `"roles":["owner"]`, "${memberorg}"}},
		{name: "who is the host", as: "host", do: "GET /api/me", status: 200, has: []string{`"class":"host"`, `"roles":[]`}},
		{name: "a person", as: "operator", do: "GET /api/people/${memberid}", status: 200, has: []string{"ines@fjord-bank.example"}},
		{name: "staff", as: "approver", do: "GET /api/staff?limit=1", status: 200, has: []string{`"next":"per_`}, keep: "next=next"},
		{name: "more staff", as: "approver", do: "GET /api/staff?limit=500&after=${next}", status: 200},
		{name: "new roles", as: "admin", do: "PATCH /api/staff/${operatorid}", body: `{"roles":["operator","auditor"]}`, status: 200, has: []string{`"roles":["auditor","operator"]`, `"state":"active"`}},
		{name: "organizations", as: "operator", do: "GET /api/organizations?state=verified&search=FJORD", status: 200, has: []string{"${memberorg}"}},
		{name: "an organization", as: "member", do: "GET /api/organizations/${memberorg}", status: 200, has: []string{`"country":"NO"`}},
		{name: "its people", as: "member", do: "GET /api/organizations/${memberorg}/members", status: 200, has: []string{"${memberid}"}},

		{name: "an invitation", as: "member", do: "POST /api/invitations", body: `{"email":"otto@fjord-bank.example","roles":["developer"]}`, status: 201, has: []string{`"standing":"open"`}, keep: "inv=id"},
		{name: "invitations", as: "operator", do: "GET /api/invitations?organization=${memberorg}", status: 200, has: []string{"${inv}"}},
		{name: "withdrawn", as: "member", do: "POST /api/invitations/${inv}/withdraw", status: 200, has: []string{`"standing":"withdrawn"`}},
		{name: "another one", as: "member", do: "POST /api/invitations", body: `{"email":"dora@fjord-bank.example","roles":["developer"]}`, status: 201},
	} {
		w.play(s)
	}
	w.letter("dora@fjord-bank.example", "/invitation", "invited")
	for _, s := range []scenario{
		{name: "what it is for", do: "POST /api/invitations/seen", body: `{"token":"${invited}"}`, status: 200, has: []string{`"to":"Fjord Bank"`}},
		{name: "accepted", do: "POST /api/invitations/accepted", body: `{"token":"${invited}","name":"Dora","password":"` + password + `"}`, status: 201, has: []string{`"roles":["developer"]`}, keep: "doraid=id"},
		{name: "now a viewer", as: "member", do: "PATCH /api/members/${doraid}", body: `{"roles":["viewer"]}`, status: 200, has: []string{`"roles":["viewer"]`}},
		{name: "she signs in", do: "POST /api/sessions", body: `{"email":"dora@fjord-bank.example","password":"` + password + `"}`, status: 201, keep: "dora=token"},
		{name: "and leaves", as: "dora", do: "POST /api/me/leave", body: `{}`, status: 204},

		{name: "an application", as: "member", do: "POST /api/applications", body: `{"name":"Kasse 検査","purpose":"Verify buyers"}`,
			header: http.Header{"Idempotency-Key": {"form-1"}}, status: 201, keep: "app=id"},
		{name: "the same form", as: "member", do: "POST /api/applications", body: `{"name":"Kasse 検査","purpose":"Verify buyers"}`,
			header: http.Header{"Idempotency-Key": {"form-1"}}, status: 201, has: []string{"${app}"}},
		{name: "one with the version seen", as: "member", do: "PATCH /api/applications/${app}", body: `{"purpose":"Verify new customers"}`,
			header: http.Header{"If-Match": {"${etag}"}}, status: 200, has: []string{`"version":2`}},
		{name: "applications", as: "operator", do: "GET /api/applications?organization=${memberorg}", status: 200, has: []string{"${app}"}},
		{name: "the application", as: "member", do: "GET /api/applications/${app}", status: 200},

		{name: "the catalogue, for anybody", do: "GET /api/products", status: 200, has: []string{`"name":"starter"`, `"name":"verification"`}},
		{name: "a product", do: "GET /api/products/verification", status: 200, has: []string{"startVerification", `"longest":"365d"`, `"addresses":{"live":"http://localhost:`}},
		{name: "a reference", do: "GET /api/apis/eid/openapi", status: 200, has: []string{"operationId"}},

		{name: "ask", as: "member", do: "POST /api/requests", body: `{"application":"${app}","environment":"live","product":"verification","plan":"standard",
			"scopes":["verifications:read","documents:check"],"purpose":"Open accounts","duration":"720h"}`, status: 201, keep: "req=id", has: []string{`"duration":"30d"`}},
		{name: "withdraw", as: "member", do: "POST /api/requests/${req}/withdraw", status: 200, has: []string{`"state":"withdrawn"`}},
		{name: "ask again", as: "member", do: "POST /api/requests", body: `{"application":"${app}","environment":"live","product":"verification","plan":"standard",
			"scopes":["verifications:read","documents:check"],"purpose":"Open accounts","duration":"30d"}`, status: 201, keep: "req=id"},
		{name: "requests", as: "approver", do: "GET /api/requests?state=open", status: 200, has: []string{"${req}"}},
		{name: "the request", as: "member", do: "GET /api/requests/${req}", status: 200},
		{name: "facts", as: "approver", do: "GET /api/requests/${req}/facts", status: 200, has: []string{`"may_decide":true`, "Fjord Bank", "checkDocument"}},
		{name: "facts for who may not decide", as: "operator", do: "GET /api/requests/${req}/facts", status: 200, has: []string{`"may_decide":false`, `"why_not":"`}},
		{name: "a question", as: "approver", do: "POST /api/requests/${req}/questions", body: `{"text":"Whose data?"}`, status: 200, has: []string{`"text":"Whose data?"`}},
		{name: "its answer", as: "member", do: "POST /api/requests/${req}/answers", body: `{"text":"Our customers'."}`, status: 200, has: []string{`"answer":"Our customers'."`}},
		{name: "a stand-in", as: "approver", do: "POST /api/absences", body: `{"stand_in":"${operatorid}","until":"${soon}"}`, status: 201, keep: "abs=id"},
		{name: "absences", as: "operator", do: "GET /api/absences", status: 200, has: []string{"${abs}"}},
		{name: "back again", as: "approver", do: "POST /api/absences/${abs}/end", status: 200, has: []string{`"ended":"`}},
		{name: "approve less", as: "approver", do: "POST /api/requests/${req}/decisions", body: `{"approve":true,"scopes":["verifications:read"]}`,
			header: http.Header{"If-Match": {`"3"`}}, status: 200, keep: "gr=grant", has: []string{`"basis":{`}},
		{name: "narrower", as: "member", do: "POST /api/grants/${gr}/narrow", body: `{"until":"${soon}","reason":"a pilot"}`, status: 200, has: []string{`"version":2`}},
		{name: "longer", as: "member", do: "POST /api/requests", body: `{"of":"${gr}"}`, status: 201, has: []string{`"sort":"renewal"`, `"state":"open"`}},
		{name: "grants", as: "member", do: "GET /api/grants?state=active&ending=2100-01-01T00:00:00Z", status: 200, has: []string{"${gr}"}},
		{name: "the grant", as: "member", do: "GET /api/grants/${gr}", status: 200, has: []string{`"scopes":["verifications:read"]`, `"standing":"active"`}},
		{name: "usage of a grant", as: "member", do: "GET /api/grants/${gr}/usage", status: 200, has: []string{`"counts":[]`, `"by":"day"`}},

		{name: "an initial access token", as: "member", do: "POST /api/initial-tokens", body: `{"application":"${app}","environment":"live","name":"pipeline","uses":3,"lifetime":"7d"}`,
			status: 201, has: []string{`"token":"ghr_`, `"most":3`, "/oauth/live/register"}, keep: "iat=initial_token.id"},
		{name: "initial access tokens", as: "operator", do: "GET /api/initial-tokens?organization=${memberorg}", status: 200, has: []string{"${iat}", `"standing":"open"`}},
		{name: "ended", as: "member", do: "POST /api/initial-tokens/${iat}/end", status: 200, has: []string{`"standing":"ended"`}},
		{name: "a key", as: "member", do: "POST /api/credentials", body: `{"application":"${app}","environment":"live","name":"web","lifetime":"30d","grants":["${gr}"]}`,
			status: 201, has: []string{`"key":"gh_live_`, `"live":true`}, keep: "crd=credential.id"},
		{name: "credentials", as: "operator", do: "GET /api/credentials?application=${app}", status: 200, has: []string{"${crd}"}},
		{name: "the credential", as: "member", do: "GET /api/credentials/${crd}", status: 200},
		{name: "changed", as: "member", do: "PATCH /api/credentials/${crd}", body: `{"name":"web 2","sources":["203.0.113.7"]}`, status: 200, has: []string{`"sources":["203.0.113.7/32"]`}},
		{name: "uses", as: "member", do: "GET /api/credentials/${crd}/uses", status: 200, has: []string{`"items":[]`}},
		{name: "dormant", as: "operator", do: "GET /api/credentials?application=${app}&dormant=1d", status: 200, has: []string{`"items":[]`}},
		{name: "suspend the key", as: "operator", do: "POST /api/credentials/${crd}/suspend", body: `{"reason":"odd"}`, status: 200, has: []string{`"standing":"suspended"`, `"held":true`}},
		{name: "not by them", as: "member", do: "POST /api/credentials/${crd}/resume", body: `{"reason":"ours"}`, status: 403, kind: "held"},
		{name: "resume the key", as: "operator", do: "POST /api/credentials/${crd}/resume", body: `{"reason":"fine"}`, status: 200, has: []string{`"standing":"active"`}},
		{name: "rotate", as: "member", do: "POST /api/credentials/${crd}/rotate", body: `{"overlap":"2h","lifetime":"10d"}`, status: 201,
			has: []string{`"key":"gh_live_`, `"standing":"retiring"`}, keep: "crd=credential.id leaked=key"},
		{name: "found", do: "POST /api/leaks", body: `{"found":"KEY=${leaked}","where":"a log"}`, status: 202, has: []string{"Thank you"}},
		{name: "found by chance", do: "POST /api/leaks", body: `{"found":"gh_live_x"}`, status: 202, has: []string{"Thank you"}},
		{name: "it is told", as: "member", do: "GET /api/credentials/${crd}", status: 200, has: []string{`"leaked":"`}},
		{name: "a key for later", as: "member", do: "POST /api/credentials", body: `{"application":"${app}","environment":"live","name":"later","pending":true}`,
			status: 201, has: []string{`"standing":"pending"`}, keep: "later=credential.id"},
		{name: "now", as: "member", do: "POST /api/credentials/${later}/activate", status: 200, has: []string{`"standing":"active"`}},
		{name: "a client", as: "member", do: "POST /api/oauth-clients", body: `{"application":"${app}","environment":"live","name":"batch","method":"client_secret","constrain":"dpop"}`,
			status: 201, has: []string{`"client_secret":"ghc_live_`, `/oauth/live"`}, keep: "client=credential.id"},
		{name: "a client with keys", as: "member", do: "POST /api/oauth-clients", body: `{"application":"${app}","environment":"live","name":"batch 2","method":"private_key_jwt",
			"jwks":{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1"}]}}`,
			status: 201, has: []string{`"method":"private_key_jwt"`, `"kid":"1"`}},
		{name: "a client with a private key", as: "member", do: "POST /api/oauth-clients", body: `{"application":"${app}","environment":"live","name":"batch 3","method":"private_key_jwt",
			"jwks":{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}]}}`,
			status: 422, kind: "invalid", has: []string{`"pointer":"/jwks"`}},
		{name: "a certificate", as: "member", do: "POST /api/client-certificates", body: `{"application":"${app}","environment":"live","name":"mtls","csr":"-----BEGIN CERTIFICATE REQUEST-----\nMIHHMG4CAQAwDDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA\nBE/+fWOZdJEjSXGOTxfZEFBKJFuTSwRe84WzAnY73WB/+BngQR+duNfVOgmrh+FK\nV5iqFAYtANNAa7qPkrJ8tNSgADAKBggqhkjOPQQDAgNJADBGAiEAgsEFmKFdOmHR\n5xNKm0vlI+OsI6HC0sUNfbjsuMaJ4L4CIQCJZBN1daBbnR4Bh5Sj2WtAG5lSTRlS\nnNDskIvzOweu+Q==\n-----END CERTIFICATE REQUEST-----\n"}`,
			status: 201, has: []string{`BEGIN CERTIFICATE`, `"kind":"client_certificate"`}},
		{name: "no certificate", as: "member", do: "POST /api/client-certificates", body: `{"application":"${app}","environment":"live","name":"mtls"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/csr"`}},
		{name: "a workload", as: "member", do: "POST /api/workload-identities", body: `{"application":"${app}","environment":"live","name":"pod","issuer":"cluster","subject":"system:serviceaccount:payments:reader","claims":[{"name":"pod","value":"reader-1"}]}`,
			status: 201, has: []string{`"kind":"workload_identity"`, `"issuer":"https://cluster.example"`, `"audience":"gatehouse"`}},
		{name: "a workload twice", as: "member", do: "POST /api/workload-identities", body: `{"application":"${app}","environment":"live","name":"pod","issuer":"cluster","subject":"system:serviceaccount:payments:reader"}`, status: 409, kind: "workload-taken"},
		{name: "a workload of nobody", as: "member", do: "POST /api/workload-identities", body: `{"application":"${app}","environment":"live","name":"pod","issuer":"evil","subject":"s"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/issuer"`}},
		{name: "trusted issuers", as: "member", do: "GET /api/environments/live/trusted-issuers", status: 200, has: []string{`"name":"cluster"`, `"kind":"kubernetes"`}},
		{name: "the authority", as: "member", do: "GET /api/environments/live/authority", status: 200, has: []string{"BEGIN CERTIFICATE"}},
		{name: "the issuer", as: "member", do: "GET /api/environments/live/issuer", status: 200, has: []string{`"kid":"`}},
		{name: "the next key", as: "operator", do: "POST /api/environments/live/issuer/rotate", body: `{"reason":"to try it out"}`, status: 200, has: []string{`"version":2`}},
		{name: "usage of an application", as: "member", do: "GET /api/applications/${app}/usage?by=hour&environment=live", status: 200, has: []string{`"counts":[`, `"by":"hour"`, `"lost":0`}},
		{name: "reach", as: "member", do: "GET /api/applications/${app}/reach?environment=live", status: 200, has: []string{"listVerifications"}},
		{name: "the inventory", as: "operator", do: "GET /api/inventory?application=${app}&environment=live", status: 200, has: []string{`"credential":"${crd}"`, `"risk":"NHI2"`, `"id":"NHI10","title":"Human use of NHI","seen":"no"`, `"call":"POST /api/credentials/${crd}/revoke"`}},
		{name: "the worst of it", as: "member", do: "GET /api/inventory?severity=critical&risk=NHI2", status: 200, has: []string{`"rule":"leaked"`}},
		{name: "no such risk", as: "member", do: "GET /api/inventory?risk=NHI11", status: 422, kind: "invalid", has: []string{`"pointer":"/risk"`}},
		{name: "one credential of it", as: "member", do: "GET /api/inventory/${crd}", status: 200, has: []string{`"findings":[`, `"reach":[`, `"owner":{"id":"per_`}},
		{name: "in force", as: "member", do: "GET /api/in-force/${crd}", status: 200, has: []string{`"environment":"live"`}},
		{name: "suspend", as: "operator", do: "POST /api/grants/${gr}/suspend", body: `{"reason":"odd calls"}`, status: 200, has: []string{`"standing":"suspended"`}},
		{name: "resume", as: "operator", do: "POST /api/grants/${gr}/resume", body: `{"reason":"a test of theirs"}`, status: 200},
		{name: "a review, tried out", as: "operator", do: "POST /api/reviews", body: `{"name":"Autumn","ends":"${soon}","environment":"live","dormant":"1m","dry_run":true}`, status: 201, has: []string{`"items":0`}},
		{name: "a review of nothing", as: "operator", do: "POST /api/reviews", body: `{"name":"Autumn","ends":"${soon}","product":"starter"}`, status: 409, kind: "nothing-to-review"},
		{name: "a review by a partner", as: "member", do: "POST /api/reviews", body: `{"name":"Autumn","ends":"${soon}"}`, status: 403, kind: "forbidden"},
		{name: "a review without an end", as: "operator", do: "POST /api/reviews", body: `{"name":"Autumn"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/ends"`}},
		{name: "a review of a strange span", as: "operator", do: "POST /api/reviews", body: `{"name":"Autumn","ends":"${soon}","dormant":"a while"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/dormant"`}},
		{name: "a review of a strange field", as: "operator", do: "POST /api/reviews", body: `{"name":"Autumn","ends":"${soon}","grants":"all"}`, status: 422, kind: "invalid"},
		{name: "a campaign", as: "operator", do: "POST /api/reviews", body: `{"name":"Autumn","ends":"${soon}","environment":"live"}`, header: http.Header{"Idempotency-Key": {"review-1"}}, status: 201, has: []string{`"items":1`}, keep: "rev=id"},
		{name: "the same form once more", as: "operator", do: "POST /api/reviews", body: `{"name":"Autumn","ends":"${soon}","environment":"live"}`, header: http.Header{"Idempotency-Key": {"review-1"}}, status: 201, has: []string{"${rev}"}},
		{name: "campaigns", as: "operator", do: "GET /api/reviews?state=open", status: 200, has: []string{"${rev}"}},
		{name: "the campaign", as: "operator", do: "GET /api/reviews/${rev}", status: 200, has: []string{`"counts":{"waiting":1}`, `"standing":"open"`}},
		{name: "not a partner's", as: "member", do: "GET /api/reviews/${rev}", status: 403, kind: "forbidden"},
		{name: "its questions", as: "member", do: "GET /api/review-items?mine=true&state=waiting", status: 200, has: []string{"${gr}"}, keep: "rvi=items.0.id"},
		{name: "a question", as: "member", do: "GET /api/review-items/${rvi}", status: 200, has: []string{`"answers":["narrow","end"]`, `"calls":0`}},
		{name: "their own", as: "member", do: "POST /api/review-items/${rvi}/answer", body: `{"answer":"confirm"}`, status: 403, kind: "own-grant"},
		{name: "no word", as: "admin", do: "POST /api/review-items/${rvi}/answer", body: `{"answer":"perhaps"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/answer"`}},
		{name: "an old view", as: "admin", do: "POST /api/review-items/${rvi}/answer", body: `{"answer":"confirm"}`, header: http.Header{"If-Match": {`"7"`}}, status: 412, kind: "stale"},
		{name: "confirmed", as: "admin", do: "POST /api/review-items/${rvi}/answer", body: `{"answer":"confirm","reason":"they use it"}`, status: 200, has: []string{`"state":"confirmed"`}},
		{name: "called off without a reason", as: "operator", do: "POST /api/reviews/${rev}/cancel", body: `{"reason":""}`, status: 422, kind: "invalid"},
		{name: "called off", as: "operator", do: "POST /api/reviews/${rev}/cancel", body: `{"reason":"enough"}`, status: 200, has: []string{`"state":"cancelled"`}},
		{name: "end", as: "member", do: "POST /api/grants/${gr}/end", body: `{"reason":"not needed"}`, status: 200, has: []string{`"standing":"ended"`}},
		{name: "revoke", as: "member", do: "POST /api/credentials/${crd}/revoke", body: `{"reason":"found in a log"}`, status: 200, has: []string{`"state":"revoked"`, `"live":false`}},
		{name: "close", as: "member", do: "POST /api/applications/${app}/close", body: `{"reason":"over"}`, status: 200, has: []string{`"state":"closed"`}},
		{name: "suspend all", as: "operator", do: "POST /api/organizations/${memberorg}/suspend", body: `{"reason":"unpaid"}`, status: 200},
		{name: "resume all", as: "operator", do: "POST /api/organizations/${memberorg}/resume", body: `{"reason":"paid"}`, status: 200},
		{name: "no end yet", as: "operator", do: "GET /api/organizations/${memberorg}/offboarding", status: 409, kind: "not-offboarding"},

		{name: "environments", as: "operator", do: "GET /api/environments", status: 200, has: []string{`"gateway":"local-live"`}},
		{name: "for partners", as: "member", do: "GET /api/environments", status: 200, has: []string{`"gateways":[]`}},
		{name: "check", as: "operator", do: "POST /api/checks", body: `{"files":${files}}`, status: 200, has: []string{`"ok":true`}},
		{name: "check what is wrong", as: "operator", do: "POST /api/checks", body: `{"files":{"gatehouse.yaml":"Z2F0ZWhvdXNlOiAyCg=="}}`, status: 200, has: []string{`"ok":false`, `"line":1`}},
		{name: "publish what is there", as: "operator", do: "POST /api/environments/live/revisions", body: `{"files":${files}}`, status: 200, has: []string{`"unchanged":true`}},
		{name: "publish by the host", as: "host", do: "POST /api/environments/live/revisions", body: `{"files":${morefiles},"note":"one more"}`, status: 201, has: []string{`"number":2`}},
		{name: "revisions", as: "operator", do: "GET /api/environments/live/revisions?limit=1", status: 200, has: []string{`"next":"2"`, `"note":"one more"`}},
		{name: "older revisions", as: "operator", do: "GET /api/environments/live/revisions?after=2", status: 200, has: []string{`"number":1`}},
		{name: "the newest", as: "operator", do: "GET /api/environments/live/revisions/0", status: 200, has: []string{`"number":2`, `"more.txt":"bW9yZQ=="`}},

		{name: "a gateway elsewhere", as: "operator", do: "POST /api/gateway-enrolments", body: `{"environment":"live","name":"fra-1"}`, status: 201, has: []string{`"name":"fra-1"`, `"token":"`}},
		{name: "of no environment", as: "operator", do: "POST /api/gateway-enrolments", body: `{"environment":"moon","name":"fra-1"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/environment"`}},
		{name: "nobody's else", as: "member", do: "POST /api/gateway-enrolments", body: `{"environment":"live","name":"fra-1"}`, status: 403, kind: "forbidden"},
		{name: "the fleet", as: "operator", do: "GET /api/gateways", status: 200, has: []string{`"items":[`}},
		{name: "what is left of quotas", as: "member", do: "GET /api/grants/${gr}/quotas", status: 200, has: []string{`"items":[`}},
		{name: "publishes and revocations of the fleet", as: "operator", do: "GET /api/gateway-changes", status: 200, has: []string{`"items":[`, `"state":"published"`}},
		{name: "not for partners", as: "member", do: "GET /api/gateway-changes", status: 403, kind: "forbidden"},
		{name: "nothing was turned away", as: "operator", do: "GET /api/gateway-refusals", status: 200, has: []string{`"items":[]`}},
		{name: "not for partners", as: "member", do: "GET /api/gateway-refusals", status: 403, kind: "forbidden"},
		{name: "not for partners", as: "member", do: "GET /api/gateways", status: 403, kind: "forbidden"},
		{name: "no such gateway", as: "operator", do: "POST /api/gateways/gw_00000000000000000000000000/revocation", body: `{"reason":"lost"}`, status: 404, kind: "not-found"},
		{name: "none to drain", as: "operator", do: "POST /api/gateways/gw_00000000000000000000000000/drain", body: `{"reason":"moved"}`, status: 404, kind: "not-found"},
		{name: "another anchor", as: "operator", do: "POST /api/gateway-anchors", body: `{}`, status: 201, has: []string{`"items":[`}},
		{name: "where a change is in force", as: "operator", do: "GET /api/environments/live/changes/1", status: 200},
		{name: "no change", as: "operator", do: "GET /api/environments/live/changes/0", status: 422, kind: "invalid"},
		{name: "an epoch for no reason", as: "operator", do: "POST /api/environments/live/epoch", body: `{"reason":""}`, status: 422, kind: "invalid"},
		{name: "an image for a partner", as: "member", do: "GET /api/environments/live/image", status: 403, kind: "forbidden"},

		{name: "audit", as: "operator", do: "GET /api/audit?object=${gr}&action=grant.&limit=2", status: 200, has: []string{`"reason":"a test of theirs"`, `"name":"actor.name"`}, keep: "next=next"},
		{name: "audit, further back", as: "operator", do: "GET /api/audit?object=${gr}&after=${next}", status: 200},
		{name: "a region that there is not", as: "operator", do: "POST /api/organizations/${memberorg}/pin", body: `{"region":"eu","reason":"the contract"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/region"`}},
		{name: "a region for no reason", as: "operator", do: "POST /api/environments/live/regions", body: `{"region":"eu","reason":" "}`, status: 422, kind: "invalid", has: []string{`"pointer":"/reason"`}},
		{name: "a region", as: "operator", do: "POST /api/environments/live/regions", body: `{"region":"eu","reason":"the contract"}`, status: 201, has: []string{`"name":"eu"`, `"ready":true`}},
		{name: "pin", as: "operator", do: "POST /api/organizations/${memberorg}/pin", body: `{"region":"eu","reason":"the contract"}`, status: 200, has: []string{`"region":"eu"`}},
		{name: "pin by a partner", as: "member", do: "POST /api/organizations/${memberorg}/pin", body: `{"reason":"ours"}`, status: 403, kind: "forbidden"},
		{name: "a region that is somebody's", as: "operator", do: "POST /api/environments/live/regions/eu/removal", body: `{"reason":"moved"}`, status: 409, kind: "region-pinned"},
		{name: "everywhere again", as: "operator", do: "POST /api/organizations/${memberorg}/pin", body: `{"reason":"another contract"}`, status: 200},
		{name: "no region for no reason", as: "operator", do: "POST /api/environments/live/regions/eu/removal", body: `{"reason":""}`, status: 422, kind: "invalid", has: []string{`"pointer":"/reason"`}},
		{name: "no region", as: "operator", do: "POST /api/environments/live/regions/eu/removal", body: `{"reason":"nobody is there"}`, status: 200, has: []string{`"name":"live"`}},
		{name: "a member's audit", as: "member", do: "GET /api/audit?application=${app}", status: 200, has: []string{`"action":"application.close"`}},
		{name: "the log holds", as: "operator", do: "GET /api/audit/verification", status: 200, has: []string{`"ok":true`}},
		{name: "evidence", as: "member", do: "GET /api/evidence/${gr}", status: 200, has: []string{`\"action\":\"grant.create\"`, `\"action\":\"request.ask\"`, `"proof":[`}},
		{name: "a review's evidence", as: "operator", do: "GET /api/evidence/${rev}", status: 200, has: []string{`review.start`}},
		{name: "a checkpoint", as: "member", do: "GET /api/audit/checkpoint", status: 200, has: []string{`"verifier":"gatehouse+`}},
		{name: "a backup", as: "admin", do: "POST /api/backups", body: `{"file":"one.db"}`, status: 201, has: []string{"one.db"}},
		{name: "letters in vain", as: "operator", do: "GET /api/letters/given-up", status: 200, has: []string{`"items":[]`}},
		{name: "recovery of nobody", as: "host", do: "POST /api/staff/recovery", body: `{"email":"aad@platform.example"}`, status: 422, kind: "invalid", has: []string{`"pointer":"/name"`}},
		{name: "recovery", as: "host", do: "POST /api/staff/recovery", body: `{"email":"ada@platform.example","name":"Ada"}`, status: 200, has: []string{"/signin/link?token=ghl_"}},

		{name: "a webhook", as: "member", do: "POST /api/webhooks", body: `{"url":"https://fjord-bank.example/hook","kinds":["grant"]}`, status: 201, has: []string{`"secret":"whsec_`}, keep: "wh=webhook.id"},
		{name: "webhooks", as: "operator", do: "GET /api/webhooks?organization=${memberorg}", status: 200, has: []string{"${wh}"}},
		{name: "the webhook", as: "member", do: "GET /api/webhooks/${wh}", status: 200},
		{name: "a fresh secret", as: "member", do: "POST /api/webhooks/${wh}/secret", status: 200, has: []string{`"secret":"whsec_`, `"old_until":`}},
		{name: "paused", as: "member", do: "PATCH /api/webhooks/${wh}", body: `{"state":"paused"}`, status: 200, has: []string{`"state":"paused"`}},
		{name: "nothing dead", as: "member", do: "GET /api/webhooks/${wh}/dead", status: 200, has: []string{`"items":[]`}},
		{name: "nothing to resend", as: "member", do: "POST /api/webhooks/${wh}/dead/1/resend", status: 404, kind: "not-found"},

		{name: "drift, before anybody looked", as: "operator", do: "GET /api/drift", status: 200, has: []string{"north", "south"}},
		{name: "nobody's else", as: "member", do: "GET /api/drift", status: 403, kind: "forbidden"},
		{name: "files that are none", as: "operator", do: "POST /api/drift/bundles/west", body: `{"bundle":"YTogMQo="}`, status: 422, kind: "invalid"},
		{name: "files of what is no bundle", as: "operator", do: "POST /api/drift/bundles/north", body: `{"bundle":"` + bundled(w.T) + `"}`, status: 404, kind: "not-found"},
		{name: "files of nobody's else", as: "member", do: "POST /api/drift/bundles/west", body: `{"bundle":"` + bundled(w.T) + `"}`, status: 403, kind: "forbidden"},
		{name: "files", as: "operator", do: "POST /api/drift/bundles/west", body: `{"bundle":"` + bundled(w.T) + `"}`, status: 200, has: []string{`"operations":1`, `"environment":"west"`}},
		{name: "a review", as: "operator", do: "POST /api/drift/runs", status: 200, has: []string{`"verdict":"drift found"`}},
		{name: "reviews", as: "operator", do: "GET /api/drift/runs", status: 200, has: []string{`"verdict":"drift found"`}},
		{name: "what was found", as: "operator", do: "GET /api/drift", status: 200, has: []string{`"rule":"DR-AUT-01"`}},
		{name: "accepted for ever", as: "operator", do: "POST /api/drift/waivers", body: `{"rule":"DR-AUT-01","owner":"Payments","reason":"The south is closed.","ends":"2999-01-01T00:00:00Z"}`, status: 422, kind: "invalid"},
		{name: "accepted for a while", as: "operator", do: "POST /api/drift/waivers", body: `{"rule":"DR-AUT-01","environment":"south","owner":"Payments","reason":"The south is closed.","ends":"${soon}"}`, status: 201, keep: "waiver=id"},
		{name: "waivers", as: "operator", do: "GET /api/drift/waivers", status: 200, has: []string{"${waiver}"}},
		{name: "no longer", as: "operator", do: "POST /api/drift/waivers/${waiver}/end", status: 200, has: []string{`"ended":"`}},

		{name: "a machine token", as: "member", do: "POST /api/machine-tokens", body: `{"name":"pipeline","roles":["viewer"],"expires":"${soon}"}`, status: 201, keep: "machine=token mt=machine_token.id"},
		{name: "which is one", as: "machine", do: "GET /api/me", status: 200, has: []string{`"class":"machine"`, `"roles":["viewer"]`}},
		{name: "machine tokens", as: "member", do: "GET /api/machine-tokens", status: 200, has: []string{"${mt}"}},
		{name: "it ends itself", as: "machine", do: "DELETE /api/sessions/current", status: 204},
		{name: "another", as: "member", do: "POST /api/machine-tokens", body: `{"name":"pipeline 2","roles":["viewer"],"expires":"${soon}"}`, status: 201, keep: "mt=machine_token.id"},
		{name: "ended", as: "member", do: "POST /api/machine-tokens/${mt}/revoke", status: 200, has: []string{`"revoked":"`}},
		{name: "a device", do: "POST /api/devices", body: `{"client":"gatehouse on build-7"}`, status: 201, keep: "device=device_code code=user_code"},
		{name: "seen", as: "member", do: "GET /api/devices/${code}", status: 200, has: []string{"gatehouse on build-7"}},
		{name: "allowed", as: "member", do: "POST /api/devices/${code}/decision", body: `{"allow":true}`, status: 204},
		{name: "its token", do: "POST /api/devices/token", body: `{"device_code":"${device}"}`, status: 200, keep: "devicetoken=token"},
		{name: "works", as: "devicetoken", do: "GET /api/me", status: 200, has: []string{`"name":"gatehouse on build-7"`}},

		{name: "another session", do: "POST /api/sessions", body: `{"email":"ines@fjord-bank.example","password":"` + password + `"}`, status: 201, keep: "second=token ses=session.id"},
		{name: "sessions", as: "member", do: "GET /api/sessions", status: 200, has: []string{"${ses}"}},
		{name: "one less", as: "member", do: "DELETE /api/sessions/${ses}", status: 204},
		{name: "a new password", as: "member", do: "POST /api/passwords/change", body: `{"old":"` + password + `","password":"another horse battery staple"}`, status: 204},
		{name: "forgotten", do: "POST /api/passwords/reset", body: `{"email":"ines@fjord-bank.example"}`, status: 202},
		{name: "the letter once more", do: "POST /api/confirmations/resend", body: `{"email":"ines@fjord-bank.example"}`, status: 202},
	} {
		w.play(s)
	}
	w.play(scenario{name: "the end", as: "operator", do: "POST /api/organizations/${memberorg}/offboard", body: `{"reason":"the contract ended"}`, status: 200, has: []string{`"state":"offboarding"`}})
	w.play(scenario{name: "how far it is", as: "operator", do: "GET /api/organizations/${memberorg}/offboarding", status: 200, has: []string{`"ended":[`, "${crd}"}})
	w.play(scenario{name: "another epoch", as: "admin", do: "POST /api/environments/live/epoch", body: `{"reason":"the database was put back"}`, status: 200, has: []string{`"name":"live"`}})
	w.letter("ines@fjord-bank.example", "/password/reset", "reset")
	w.play(scenario{name: "set", do: "POST /api/passwords", body: `{"token":"${reset}","password":"a third horse battery staple"}`, status: 204})
	w.play(scenario{name: "every session is over", as: "member", do: "GET /api/me", status: 401, kind: "session-over"})
	w.play(scenario{name: "sign out", as: "admin", do: "DELETE /api/sessions/current", status: 204})
	w.play(scenario{name: "and out", as: "admin", do: "GET /api/me", status: 401, kind: "session-over"})
	w.secondFactor()
	w.called["gatewayImage"] = true                                  // no JSON: the script of gateways begins one from it
	w.called["revokeGateway"], w.called["drainGateway"] = true, true // nobody joins within the story: control's tests and the script of gateways do
	w.called["resendDelivery"] = true                                // nothing is given up within the story: control's tests send again
	for path, methods := range w.spec.Paths {
		for method, op := range methods {
			if !w.called[op.OperationID] {
				t.Errorf("%s %s (%s) was not reached", method, path, op.OperationID)
			}
		}
	}
}

// bundled is a folder with one gateway's file as a zip, in base64.
func bundled(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("kong.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("_format_version: '3.0'\nservices: [{name: s, url: 'https://u.example.com', routes: [{name: r, paths: ['~/a$'], methods: [GET], protocols: [https]}]}]\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
