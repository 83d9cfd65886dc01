package gatehouse_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A room is a package: the floor it stands on, which of our packages it may import, and why it needs to.
// Arrows point down; what stands on the same floor must be said in sideways too.
type room struct {
	floor int
	may   string
	why   string
}

var rooms = map[string]room{
	"fault":     {1, "", "the one error type"},
	"lock":      {1, "", "keeps other processes away from what one has"},
	"id":        {1, "fault", "a malformed identifier is a fault"},
	"secret":    {1, "id", "random secrets use the alphabet of IDs"},
	"wire":      {1, "", "a message, whatever protocol carried it"},
	"ratelimit": {1, "", "the rule and its counter"},
	"event":     {1, "", "what every exchange leaves"},
	"balance":   {1, "", "which target of an upstream is asked, and which are not"},
	"config":    {1, "fault secret", "start-up configuration"},
	"certs":     {1, "", "a TLS listener's certificates, read again when their files change"},
	"manifest":  {1, "fault rule", "what is declared"},
	"rule":      {1, "fault", "expressions that decide on requests"},

	"identity":         {2, "id secret", "people and machines of the control plane"},
	"session":          {2, "id secret", "a person's sign-in"},
	"organization":     {2, "fault id", "a noun: its states and its store"},
	"application":      {2, "fault id", "a noun"},
	"credential":       {2, "fault id secret", "a noun; keys are hashed"},
	"grant":            {2, "fault id", "a noun: the unit of truth"},
	"env":              {2, "fault id", "environments and revisions"},
	"audit":            {2, "fault feed id", "the log's entries, leaves and verification"},
	"ratelimit/shared": {2, "fault ratelimit", "the counter that gateways share, in Valkey or Redis"},
	"feed":             {2, "fault id", "entries, chain, receipts, both ends (decision 0001)"},
	"fleet":            {2, "env fault id secret", "a noun: the gateways that dial in, their enrolments and anchors"},
	"webhook":          {2, "fault id secret", "endpoints that are told, by Standard Webhooks"},
	"review":           {2, "fault id", "campaigns about grants: their states and their store"},
	"notice":           {2, "id", "what comes to its end soon"},
	"usage":            {2, "fault id", "how often applications call"},
	"mail":             {2, "fault secret", "letters and how they are sent (decision 0001)"},
	"problem":          {2, "fault", "faults as RFC 9457 documents"},
	"http1":            {2, "fault wire", "the strict HTTP/1.1 codec"},
	"h2":               {2, "fault http1 wire", "HTTP/2 over the framer of golang.org/x/net"},

	"http1/nginxtest": {2, "", "nginx and wrk for the benchmarks against them"},

	"drift":              {2, "fault", "what gateways enforce, on one model, compared"},
	"drift/source":       {2, "drift", "files of teams, read with bounds and with their places"},
	"drift/drifttest":    {2, "drift drift/plan drift/source", "what the tests of all readers share"},
	"drift/handshake":    {2, "drift fault", "what addresses present, by a handshake and nothing beyond"},
	"drift/adopt":        {2, "drift drift/patch fault", "a manifest of ours from what another gateway enforces"},
	"drift/bundle":       {2, "drift fault", "folders that come as one file, unpacked safely"},
	"drift/watch":        {2, "drift id", "what is kept of the control plane's reviews"},
	"drift/patch":        {2, "fault", "single values of files changed, every other byte kept"},
	"drift/plan":         {2, "drift drift/azureapim drift/patch fault", "changes that close findings, proven"},
	"drift/report":       {2, "drift drift/plan", "results and plans as text, JSON, SARIF and Markdown"},
	"drift/baseline":     {2, "drift drift/source fault", "a named ruleset kept as a file, and its waivers"},
	"drift/aws":          {2, "drift drift/source", "a reader: API Gateway"},
	"drift/apigee":       {2, "drift drift/source", "a reader: bundles"},
	"drift/kong":         {2, "drift drift/source", "a reader"},
	"drift/azureapim":    {2, "drift drift/source", "a reader"},
	"drift/krakend":      {2, "drift drift/source", "a reader"},
	"drift/tyk":          {2, "drift drift/source", "a reader"},
	"drift/k8s":          {2, "drift drift/source", "Kubernetes objects, for the readers that need them"},
	"drift/gatewayapi":   {2, "drift drift/k8s drift/source", "a reader"},
	"drift/ingressnginx": {2, "drift drift/k8s drift/source", "a reader: Ingress objects and the controller's settings"},
	"drift/traefik":      {2, "drift drift/k8s drift/source", "a reader: files and Kubernetes objects"},
	"drift/gatehouse":    {2, "drift drift/source manifest", "a reader: our own manifest"},
	"drift/envoygateway": {2, "drift drift/gatewayapi drift/k8s drift/source", "a reader: the Gateway API and its extensions"},

	"drift/review": {3, "drift drift/adopt drift/apigee drift/aws drift/azureapim drift/baseline drift/envoygateway drift/gatehouse drift/gatewayapi drift/handshake drift/ingressnginx drift/kong drift/krakend drift/plan drift/report drift/source drift/traefik drift/tyk fault", "knows all readers: reads folders, compares them"},

	"authority": {3, "", "clients' certificates of authorities that are not ours"},
	"inventory": {3, "application credential grant id identity organization", "judges what the nouns say of credentials together; as pure as they are"},

	"token": {3, "", "signs and verifies what proves a caller without a look-up"},

	"store":           {3, "review application audit credential env feed grant id identity mail organization session notice webhook drift/watch usage fleet secret", "gathers the nouns' stores"},
	"sso":             {3, "fault secret", "OpenID providers: discovery, the code flow, what they say of somebody"},
	"fetch":           {3, "fault", "what is fetched from elsewhere, without being led inside"},
	"store/sqldb":     {3, "review notice webhook application audit credential env fault feed lock grant id identity mail organization secret session store drift drift/watch usage fleet", "SQL for all of them"},
	"store/storetest": {3, "review notice webhook application audit credential env fault feed grant id identity mail organization secret session store drift drift/watch usage fleet", "a test for each promise"},

	"store/pgtest": {3, "secret", "a PostgreSQL for tests"},

	"policy":             {4, "authority fault id ratelimit secret token wire", "what a rule may see and do"},
	"policy/anonymous":   {4, "credential policy wire", "a policy kind; it takes keys out of open requests"},
	"policy/apikey":      {4, "credential fault policy secret wire", "a policy kind"},
	"policy/cors":        {4, "fault policy wire", "a policy kind"},
	"policy/granted":     {4, "fault id policy", "a policy kind"},
	"policy/headers":     {4, "fault policy wire", "a policy kind"},
	"policy/limit":       {4, "fault policy ratelimit", "a policy kind"},
	"policy/clientcert":  {4, "authority credential fault policy secret", "a policy kind"},
	"policy/oauth":       {4, "credential fault id policy secret token wire", "a policy kind"},
	"policy/workload":    {4, "credential fault policy secret token wire", "a policy kind"},
	"policy/several":     {4, "fault policy", "policy kinds that join others"},
	"policy/requestsize": {4, "fault policy wire", "a policy kind"},

	"feed/disk": {3, "fault feed lock", "a gateway's image, log and state"},
	"feed/link": {4, "fault feed fleet id", "the feed over HTTP/2 with mutual TLS; above feed, which knows no net/http"},

	"trust":      {5, "authority fault fetch policy token", "keys and revocation lists of issuers elsewhere, fetched outside of requests"},
	"drift/live": {5, "drift drift/source fault secret", "running gateways, only read"},

	"snapshot": {5, "authority fault feed id manifest policy policy/granted ratelimit secret token wire", "manifest -> routes, feed -> access index"},

	"control": {6, "inventory review sso application audit authority credential env fault feed grant id identity mail manifest organization policy ratelimit rule secret session snapshot store token fetch notice webhook drift drift/watch usage feed/disk feed/link fleet", "every rule of who may change what"},
	"gateway": {6, "authority balance event fault feed fetch id manifest policy problem ratelimit secret snapshot wire h2 http1 token trust", "serves requests from a view"},

	"authserver": {7, "control credential fault id identity secret token", "OAuth"},
	"adminapi":   {7, "inventory review application audit control credential env fault feed grant id identity manifest organization problem secret session snapshot webhook drift drift/watch usage fleet", "JSON"},
	"portal":     {7, "inventory review application audit control credential env fault feed grant id identity mail manifest organization problem ratelimit secret session snapshot webhook drift drift/watch drift/report usage fleet", "pages"},

	"app":           {8, "sso adminapi audit authority certs config control env event fault feed gateway id identity mail manifest policy policy/anonymous policy/apikey policy/cors policy/granted policy/headers policy/limit policy/requestsize portal problem ratelimit secret snapshot store store/sqldb authserver policy/oauth policy/several token fetch policy/clientcert drift drift/bundle drift/live drift/review usage feed/disk feed/link fleet policy/workload ratelimit/shared trust", "the only room that knows all"},
	"cmd/gatehouse": {9, "inventory review drift drift/handshake drift/live drift/review drift/watch app audit config control credential fault feed grant id identity manifest secret snapshot store store/sqldb application organization env adminapi webhook usage fleet", "flags, signals, exit codes"},

	"manifest/reference":      {9, "app manifest policy", "writes docs/manifest.md"},
	"examples/eid":            {9, "", "a service of its own: it knows nothing of Gatehouse"},
	"sso/ssotest":             {9, "", "for tests: a real OpenID provider, with a hand on what it sends"},
	"authority/authoritytest": {9, "", "for tests: authorities and the certificates that they sign"},
	"http1/rawtest":           {9, "", "for tests: an upstream that keeps every byte, and messages that programs read in different ways"},
	"bench":                   {9, "app application audit control credential feed feed/disk feed/link grant id identity mail organization secret store store/pgtest store/sqldb", "drives real processes beside their peers; it writes feeds and records with a million keys, and is gateways that only follow"},
	"examples/demo":           {9, "", "a visitor: it knows the public HTTP only"},
}

// sideways are the arrows between rooms of one floor, each with its reason.
var sideways = map[string]string{
	"fleet -> env":                   "a gateway serves an environment, in a region of it",
	"id -> fault":                    "faults are the lowest of all",
	"secret -> id":                   "one alphabet",
	"config -> fault":                "faults are the lowest of all",
	"config -> secret":               "secrets of the configuration do not print",
	"rule -> fault":                  "faults are the lowest of all",
	"manifest -> rule":               "rules are checked with the plan that declares them, and their examples run",
	"manifest -> fault":              "faults are the lowest of all",
	"store/sqldb -> store":           "implements it",
	"store/storetest -> store":       "tests it",
	"policy/anonymous -> policy":     "is one",
	"policy/apikey -> policy":        "is one",
	"policy/cors -> policy":          "is one",
	"policy/granted -> policy":       "is one",
	"policy/headers -> policy":       "is one",
	"policy/limit -> policy":         "is one",
	"policy/clientcert -> policy":    "is one",
	"policy/oauth -> policy":         "is one",
	"policy/workload -> policy":      "is one",
	"policy/several -> policy":       "are two",
	"policy/requestsize -> policy":   "is one",
	"manifest/reference -> manifest": "describes its types",
	"audit -> feed":                  "the evidence of an offboarding holds what gateways have sworn, and verifies it",
	"h2 -> http1":                    "one reading of paths, hosts and fields, whatever carried them",
}

// Below drift's own floor the readers build on each other.
func drifts(from, to string) bool {
	return strings.HasPrefix(from, "drift/") && (to == "drift" || strings.HasPrefix(to, "drift/"))
}

// never says what a package must not reach, however far, and why.
var never = map[string]map[string]string{
	"gateway": {
		"database/sql":      "a request never waits for a database",
		"gatehouse/store":   "the data plane serves from a view",
		"gatehouse/control": "the data plane changes nothing",
	},
	"inventory": {"net/http": "a judgement does not know who asks", "database/sql": "nor who keeps what is judged"},
	"snapshot":  {"database/sql": "compiling is pure", "os/exec": "compiling is pure", "net/http": "nothing above the codec sees net/http"},
	"policy":    {"net/http": "nothing above the codec sees net/http"},
	"portal":    {"database/sql": "pages go through control"},
	"adminapi":  {"database/sql": "so does the admin API"},
}

// bans is never, with what holds for whole floors.
func bans() map[string]map[string]string {
	never := maps.Clone(never)
	for name, r := range rooms {
		if strings.HasPrefix(name, "policy/") {
			never[name] = never["policy"]
		}
		if r.floor == 2 && name != "mail" && name != "http1" && name != "h2" && name != "problem" && !strings.HasPrefix(name, "drift") {
			never[name] = map[string]string{"net/http": "a noun does not know who asks", "database/sql": "nor who keeps it"}
		}
	}
	return never
}

// imports reads every package's imports from its files, tests apart. It reads the files itself: what a child process
// such as go list reads, the test cache does not see.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != "." && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(filepath.Dir(path))
		found[name] = append(found[name], "")
		for _, i := range f.Imports {
			found[name] = append(found[name], strings.Trim(i.Path.Value, `"`))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// faults is everything about the found imports that the tables do not allow.
func faults(found map[string][]string) []string {
	var wrong []string
	for name, imps := range found {
		r, known := rooms[name]
		if !known {
			wrong = append(wrong, name+" is not in the table of rooms")
			continue
		}
		for _, imp := range imps {
			short, ours := strings.CutPrefix(imp, "gatehouse/")
			if !ours {
				continue
			}
			if !slices.Contains(strings.Fields(r.may), short) {
				wrong = append(wrong, name+" imports "+short+": not in its line of the table")
			}
			switch below := rooms[short].floor; {
			case below > r.floor:
				wrong = append(wrong, name+" imports "+short+": an arrow upwards")
			case below == r.floor && sideways[name+" -> "+short] == "" && !drifts(name, short):
				wrong = append(wrong, name+" imports "+short+": on one floor, without a reason in sideways")
			}
		}
	}
	for name, bad := range bans() {
		seen := map[string]bool{}
		var visit func(from, imp string)
		visit = func(from, imp string) {
			if why := bad[imp]; why != "" {
				wrong = append(wrong, name+" reaches "+imp+" by way of "+from+": "+why)
			}
			short, ours := strings.CutPrefix(imp, "gatehouse/")
			if !ours || seen[short] {
				return
			}
			seen[short] = true
			for _, next := range found[short] {
				visit(short, next)
			}
		}
		visit("", "gatehouse/"+name)
	}
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

func TestImports(t *testing.T) {
	found := imports(t)
	for _, w := range faults(found) {
		t.Error(w)
	}
	for name := range rooms {
		if found[name] == nil {
			t.Errorf("%s is in the table of rooms and not in the tree", name)
		}
	}
}

// The guard bites: each kind of wrong arrow is found when it is put in.
func TestImportsGuardBites(t *testing.T) {
	for _, c := range []struct{ from, imp, want string }{
		{"gateway", "gatehouse/control", "gateway reaches gatehouse/control by way of gateway: the data plane changes nothing"},
		{"snapshot", "database/sql", "gateway reaches database/sql by way of snapshot: a request never waits for a database"},
		{"grant", "net/http", "grant reaches net/http by way of grant: a noun does not know who asks"},
		{"grant", "gatehouse/store", "grant imports store: an arrow upwards"},
		{"grant", "gatehouse/organization", "grant imports organization: on one floor, without a reason in sideways"},
		{"util", "strings", "util is not in the table of rooms"},
	} {
		found := imports(t)
		found[c.from] = append(found[c.from], c.imp)
		if got := faults(found); !slices.Contains(got, c.want) {
			t.Errorf("%s importing %s: the guard says %q, not %q", c.from, c.imp, got, c.want)
		}
	}
}

// Every package says in one comment what it is.
func TestPackageComments(t *testing.T) {
	for name := range imports(t) {
		files, err := filepath.Glob(filepath.Join(name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		said := 0
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil && (strings.HasPrefix(f.Doc.Text(), "Package "+f.Name.Name+" ") || f.Name.Name == "main") {
				said++
			}
		}
		if said != 1 {
			t.Errorf("%s has %d package comments that begin %q, not one", name, said, "Package …")
		}
	}
}

// The module replaces nothing: what is built is what go.mod names.
func TestNoReplace(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mod), "replace") {
		t.Error("go.mod has a replace directive")
	}
}

// Every direct dependency has its line in docs/dependencies.md.
func TestDependenciesAreDocumented(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		f := strings.Fields(line)
		if len(f) < 2 || !strings.Contains(f[0], ".") && f[0] != "require" || strings.Contains(line, "// indirect") {
			continue
		}
		name := f[0]
		if name == "require" {
			name = f[1]
		}
		if strings.Contains(name, ".") && !strings.Contains(string(doc), "`"+name+"`") && !strings.Contains(string(doc), "`"+name+"/") {
			t.Errorf("%s is a direct dependency without a line in docs/dependencies.md", name)
		}
	}
}
