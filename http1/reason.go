package http1

// Reason says why a message is refused. It is an error, has a stable name for events and metrics, and a status for the
// sender of a request. The same reasons are given for an upstream's answer, which then becomes 502.
type Reason uint8

// The reasons.
const (
	Fine              Reason = iota // not refused
	BareLF                          // a line ends with LF alone
	BadMethod                       // not a token, or too long
	MethodConnect                   // this is no forward proxy
	MethodTrace                     // would send the gateway's own fields back
	BadTarget                       // not a path, with characters that a URI must not have, or empty
	AsteriskTarget                  // OPTIONS * asks the server itself
	LineTooLong                     // the request line
	BadVersion                      // not HTTP/1.0 or HTTP/1.1
	BadLine                         // no method, target and version with one space between
	BadEscape                       // a percent sign without two hexadecimal digits
	AmbiguousEscape                 // an escaped slash, backslash or control byte, or an escape of an escape
	EscapeNotUTF8                   // escapes that are no UTF-8, such as overlong forms
	DotSegment                      // . or .. in a path, escaped or with parameters too
	EmptySegment                    // // in a path
	HeadTooLarge                    // all of the head
	TooManyFields                   // in the head
	ObsFold                         // a field line that begins with white space
	SpaceBeforeColon                // white space between name and colon
	BadName                         // a field name that is no token, or a line without a colon
	Underscore                      // in a field name: some upstreams take it for a hyphen
	LookalikeName                   // a name that some take for one that frames or routes
	BadValue                        // NUL or another control byte in a field's value
	NoHost                          // Host is absent
	RepeatedHost                    // more than one Host
	BadHost                         // Host is empty or not a name and a port
	HostMismatch                    // the target's authority is not what Host says
	SchemeMismatch                  // the target's scheme is not the connection's
	BadLength                       // Content-Length is not a plain decimal number
	RepeatedLength                  // more than one Content-Length
	LengthAndEncoding               // both Content-Length and Transfer-Encoding
	BadEncoding                     // Transfer-Encoding is anything but one chunked
	EncodingInHTTP10                // Transfer-Encoding in HTTP/1.0
	BadConnection                   // Connection is no list of tokens, or names a field that is not its business
	BadExpectation                  // Expect is not 100-continue
	BadChunk                        // a chunk's size, extension or end
	BadTrailer                      // a trailer field that is malformed or frames, routes or authorizes
	TrailerTooLarge                 // all trailer fields together
	BodyTooLarge                    // more than the exchange allows
	SlowHead                        // the head did not arrive in time
	SlowBody                        // silence within a body
	CutShort                        // the peer ended before its message did
	BadStatus                       // an answer's status line
	UnexpectedContent               // an answer with content where there must be none
	UnexpectedUpgrade               // 101 to a request that did not ask for it, or to another protocol
	TooManyInterim                  // answers 1xx
	BadPseudo                       // HTTP/2: a field that begins with a colon is unknown, repeated, missing or too late
	reasons
)

type reason struct {
	name   string
	status int
	text   string
}

// table is constant: what each reason is called, how a request with it is answered, and what the sender is told.
var table = [reasons]reason{
	Fine:              {"none", 0, ""},
	BareLF:            {"bare-lf", 400, "A line must end with CR LF."},
	BadMethod:         {"bad-method", 400, "The method is not a token."},
	MethodConnect:     {"method-connect", 501, "CONNECT is not offered here."},
	MethodTrace:       {"method-trace", 501, "TRACE is not offered here."},
	BadTarget:         {"bad-target", 400, "The request target is not a valid path and query."},
	AsteriskTarget:    {"asterisk-target", 501, "The target * is not offered here."},
	LineTooLong:       {"line-too-long", 414, "The request line is too long."},
	BadVersion:        {"bad-version", 505, "The version must be HTTP/1.1 or HTTP/1.0."},
	BadLine:           {"bad-line", 400, "The request line must be method, target and version with one space between."},
	BadEscape:         {"bad-escape", 400, "A percent sign in the path must be followed by two hexadecimal digits."},
	AmbiguousEscape:   {"ambiguous-escape", 400, "The path escapes a slash, a backslash, a control byte or an escape."},
	EscapeNotUTF8:     {"escape-not-utf8", 400, "The escapes of the path are not UTF-8."},
	DotSegment:        {"dot-segment", 400, "The path has a dot segment."},
	EmptySegment:      {"empty-segment", 400, "The path has an empty segment."},
	HeadTooLarge:      {"head-too-large", 431, "The head of the message is too large."},
	TooManyFields:     {"too-many-fields", 431, "The head of the message has too many fields."},
	ObsFold:           {"obs-fold", 400, "A header field must not be folded over lines."},
	SpaceBeforeColon:  {"space-before-colon", 400, "There is white space before the colon of a header field."},
	BadName:           {"bad-name", 400, "A header field name is not a token."},
	Underscore:        {"underscore", 400, "A header field name has an underscore."},
	LookalikeName:     {"lookalike-name", 400, "A header field name can be taken for another one."},
	BadValue:          {"bad-value", 400, "A header field value has a control character."},
	NoHost:            {"no-host", 400, "There is no Host field."},
	RepeatedHost:      {"repeated-host", 400, "There is more than one Host field."},
	BadHost:           {"bad-host", 400, "The Host field is not a host name and a port."},
	HostMismatch:      {"host-mismatch", 400, "The request target names another host than the Host field."},
	SchemeMismatch:    {"scheme-mismatch", 400, "The request target names another scheme than the connection has."},
	BadLength:         {"bad-length", 400, "Content-Length is not a plain decimal number."},
	RepeatedLength:    {"repeated-length", 400, "There is more than one Content-Length field."},
	LengthAndEncoding: {"length-and-encoding", 400, "There are both Content-Length and Transfer-Encoding."},
	BadEncoding:       {"bad-encoding", 501, "Transfer-Encoding must be chunked and nothing else."},
	EncodingInHTTP10:  {"encoding-in-http10", 400, "HTTP/1.0 has no Transfer-Encoding."},
	BadConnection:     {"bad-connection", 400, "The Connection field is malformed or names a field that it must not."},
	BadExpectation:    {"bad-expectation", 417, "The only expectation offered here is 100-continue."},
	BadChunk:          {"bad-chunk", 400, "The chunked body is malformed."},
	BadTrailer:        {"bad-trailer", 400, "A trailer field is malformed or must not be one."},
	TrailerTooLarge:   {"trailer-too-large", 431, "The trailer fields are too large."},
	BodyTooLarge:      {"body-too-large", 413, "The body is too large."},
	SlowHead:          {"slow-head", 408, "The head of the request did not arrive in time."},
	SlowBody:          {"slow-body", 408, "The body of the request did not arrive in time."},
	CutShort:          {"cut-short", 400, "The message ended too early."},
	BadStatus:         {"bad-status", 502, "The status line is malformed."},
	UnexpectedContent: {"unexpected-content", 502, "The answer has content where there must be none."},
	UnexpectedUpgrade: {"unexpected-upgrade", 502, "The upstream changed to a protocol that was not asked for."},
	BadPseudo:         {"bad-pseudo", 400, "A pseudo-header field is unknown, repeated, missing or too late."},
	TooManyInterim:    {"too-many-interim", 502, "The upstream sent too many interim answers."},
}

// Error is the text for the sender.
func (r Reason) Error() string { return table[r].text }

// String is the stable name.
func (r Reason) String() string { return table[r].name }

// Status is how a request that is refused for this reason is answered.
func (r Reason) Status() int { return table[r].status }

// Reasons are all the reasons there are, for documentation and metrics.
func Reasons() []Reason {
	all := make([]Reason, 0, reasons-1)
	for r := Fine + 1; r < reasons; r++ {
		all = append(all, r)
	}
	return all
}

// statusText is the phrase that goes with a status; other statuses go without, which RFC 9112 §4 allows.
func statusText(status int) string {
	switch status {
	case 100:
		return "Continue"
	case 101:
		return "Switching Protocols"
	case 103:
		return "Early Hints"
	case 200:
		return "OK"
	case 201:
		return "Created"
	case 202:
		return "Accepted"
	case 204:
		return "No Content"
	case 206:
		return "Partial Content"
	case 301:
		return "Moved Permanently"
	case 302:
		return "Found"
	case 303:
		return "See Other"
	case 304:
		return "Not Modified"
	case 307:
		return "Temporary Redirect"
	case 308:
		return "Permanent Redirect"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 406:
		return "Not Acceptable"
	case 408:
		return "Request Timeout"
	case 409:
		return "Conflict"
	case 410:
		return "Gone"
	case 412:
		return "Precondition Failed"
	case 413:
		return "Content Too Large"
	case 414:
		return "URI Too Long"
	case 415:
		return "Unsupported Media Type"
	case 417:
		return "Expectation Failed"
	case 422:
		return "Unprocessable Content"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	}
	return ""
}
