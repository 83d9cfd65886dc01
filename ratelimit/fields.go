package ratelimit

import (
	"strconv"
	"time"
)

// AppendPolicy writes the value of the RateLimit-Policy field (draft-ietf-httpapi-ratelimit-headers-10) for the results:
// the name of each window, how many requests it allows (q) in how many seconds (w).
func AppendPolicy(dst []byte, results []Result) []byte {
	for i, r := range results {
		dst = item(dst, i, r.Window.Name)
		dst = strconv.AppendInt(append(dst, ";q="...), r.Window.Requests, 10)
		if r.Window.Per > 0 { // a month has none
			dst = strconv.AppendInt(append(dst, ";w="...), seconds(r.Window.Per), 10)
		}
	}
	return dst
}

// AppendLimit writes the value of the RateLimit field for the results: how many requests of each window may still come
// at once (r), and in how many seconds all of them may again (t).
func AppendLimit(dst []byte, results []Result) []byte {
	for i, r := range results {
		dst = item(dst, i, r.Window.Name)
		dst = strconv.AppendInt(append(dst, ";r="...), r.Remaining, 10)
		dst = strconv.AppendInt(append(dst, ";t="...), seconds(r.Reset), 10)
	}
	return dst
}

// Retry is how long to wait until every window takes one more request; 0 when all of them do.
func Retry(results []Result) (longest time.Duration) {
	for _, r := range results {
		longest = max(longest, r.Retry)
	}
	return longest
}

// item begins an item of the list: a string (RFC 9651 §3.3.3), in which only visible ASCII may stand.
func item(dst []byte, i int, name string) []byte {
	if i > 0 {
		dst = append(dst, ", "...)
	}
	dst = append(dst, '"')
	for j := range len(name) {
		switch c := name[j]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c > '~':
			dst = append(dst, '?')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// seconds rounds up, so that who waits that long has waited long enough.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
