package manifest

// Upstream is a service behind the gateway.
type Upstream struct {
	Name         string                      `json:"name"`         // by which APIs name it
	Targets      []string                    `json:"targets"`      // http:// or https:// addresses without a path; of a name with several addresses, each is a target of its own
	Weights      map[string]int              `json:"weights"`      // the share of some targets beside the others', from 1 to 100, by their address; default 1
	Environments map[string]UpstreamOverride `json:"environments"` // other targets in some environments
	Protocol     string                      `json:"protocol"`     // http/1.1, h2 (HTTP/2 over TLS, for https targets) or h2c (HTTP/2 without it, for http targets); gRPC needs one of the last two; default http/1.1
	Timeouts     Timeouts                    `json:"timeouts"`     // deadlines of a call
	Present      []Present                   `json:"present"`      // fields that prove to the upstream that the gateway asks
	Balance      Balance                     `json:"balance"`      // which target is asked; default: each in its turn
	Health       Health                      `json:"health"`       // when a target is left out; default: never, but one that cannot be reached is passed over
	Retries      *Retries                    `json:"retries"`      // default: none
	Breaker      *Breaker                    `json:"breaker"`      // default: none
	Concurrency  *Concurrency                `json:"concurrency"`  // default: no bound
	DNS          DNS                         `json:"dns"`          // how long addresses of names are used
	TLS          *UpstreamTLS                `json:"tls"`          // for https targets; default: verified by the system's roots
}

// UpstreamOverride is what differs in one environment.
type UpstreamOverride struct {
	Targets []string       `json:"targets"` // instead of the upstream's
	Weights map[string]int `json:"weights"` // of these targets
}

// Timeouts are the deadlines of a call to an upstream.
type Timeouts struct {
	Connect Duration `json:"connect"` // to open a connection; default 2s
	Read    Duration `json:"read"`    // between two parts of the answer, its head included; default 10s
	Total   Duration `json:"total"`   // for the whole exchange, all tries together; default 30s
}

// Present is one header field with a secret that the gateway adds for the upstream.
type Present struct {
	Header string `json:"header"` // name of the field; what a caller sends under it is removed
	Secret string `json:"secret"` // the name of a secret of the gateway, set in its start-up configuration; never the secret itself
}

// Balance is how a target is chosen among those that can be asked.
type Balance struct {
	By  string `json:"by"`  // round_robin, least_requests (of two drawn by weight, the less busy one) or hash (one key, one target); default round_robin
	Key string `json:"key"` // for hash: client (its address), application, credential, organization, path, "header NAME", "query NAME" or "cookie NAME"; a request without one is sent in turn
}

// Health is when a target is left out. When all would be, all are asked as before.
type Health struct {
	Active     *Active  `json:"active"`      // ask each target by itself whether it is well
	Passive    *Passive `json:"passive"`     // see how requests go
	SlowReturn Duration `json:"slow_return"` // how long a target that is well again takes to come to its full share; default: at once
}

// Active is how each target is asked whether it is well. It is asked without the fields of present.
type Active struct {
	Path      string   `json:"path"`      // such as /healthz
	Host      string   `json:"host"`      // the Host field; default: the target's
	Status    []int    `json:"status"`    // of a target that is well; default: any 2xx
	Interval  Duration `json:"interval"`  // default 10s
	Timeout   Duration `json:"timeout"`   // default 2s
	Healthy   int      `json:"healthy"`   // so many good answers in a row bring a target back; default 2
	Unhealthy int      `json:"unhealthy"` // so many bad ones leave it out; default 3
}

// Passive is when a target is ejected for how requests went.
type Passive struct {
	Failures int      `json:"failures"` // so many requests in a row that broke off, took too long, found nobody, or were answered with one of status; default 5
	Status   []int    `json:"status"`   // answers that count as failures; default 502, 503, 504
	Eject    Duration `json:"eject"`    // for how long the first time; each further time twice as long; default 30s
	Longest  Duration `json:"longest"`  // the longest; default 5m
	Most     int      `json:"most"`     // percent of the targets that may be ejected at once; default 50
}

// Retries are for requests by safe methods (GET, HEAD, OPTIONS) and of operations that are declared idempotent, as long as
// nothing of an answer was passed on and the body is still at hand. Where nothing was sent, because a target cannot be
// reached, the next one is asked in any case.
type Retries struct {
	Attempts int      `json:"attempts"` // further tries, on another target where there is one; from 1 to 5, default 1
	Status   []int    `json:"status"`   // answers that are tried again; default 502, 503, 504
	Try      Duration `json:"try"`      // for the head of the answer of each try; default: timeouts.read alone
	Share    int      `json:"share"`    // percent of the requests of the last ten seconds that may be retried; default 20
	Minimum  int      `json:"minimum"`  // retries a second that are allowed in any case; default 3
}

// Breaker stops asking an upstream of which most requests fail: calls are answered 503 at once.
type Breaker struct {
	Errors   int      `json:"errors"`   // percent of the requests that fail; default 50
	Requests int      `json:"requests"` // so many there must be; default 20
	Window   Duration `json:"window"`   // in which they are counted; default 10s
	Open     Duration `json:"open"`     // how long nobody asks then; default 5s
	Probes   int      `json:"probes"`   // so many requests must go well then; default 3
}

// Concurrency bounds how many requests run at an upstream at once, of each gateway. Those beyond wait in a short queue, and
// those beyond that are answered 503 with Retry-After at once.
type Concurrency struct {
	Most     int      `json:"most"`     // requests at once
	Queue    int      `json:"queue"`    // how many may wait; default: as many as run
	Wait     Duration `json:"wait"`     // for how long; default 100ms
	Adaptive bool     `json:"adaptive"` // true: fewer than most while the upstream takes more than twice as long as without a crowd
}

// DNS is how long the addresses of a target's name are used: as long as its records say, within these bounds. When a name
// cannot be resolved, the addresses that are known go on.
type DNS struct {
	Least Duration `json:"least"` // default 5s
	Most  Duration `json:"most"`  // default 5m
}

// UpstreamTLS is how https targets are verified, and what the gateway shows them. There is no switch that turns
// verification off.
type UpstreamTLS struct {
	Name        string `json:"name"`        // the name in the target's certificate, also sent as SNI; default: the target's host
	CA          string `json:"ca"`          // the name of a secret of the gateway that holds certificates (PEM) to verify by, instead of the system's roots
	Certificate string `json:"certificate"` // the name of a secret that holds the gateway's own certificate and its chain (PEM)
	Key         string `json:"key"`         // the name of a secret that holds its private key (PEM)
}
