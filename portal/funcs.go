package portal

import (
	"fmt"
	"html/template"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gatehouse/id"
)

// functions are what templates may call.
func functions(a assets, m markdown) template.FuncMap {
	return template.FuncMap{
		"tone":     tone,
		"asset":    a.url,
		"icon":     icon,
		"markdown": m.html,
		"inline":   m.inline,
		"excerpt":  m.firstParagraph,
		"moment":   moment,
		"ago":      ago,
		"day":      day,
		"span":     span,
		"days":     days,
		"short":    short,
		"join":     func(s []string) string { return strings.Join(s, ", ") },
		"plural":   plural,
		"number":   number,
		"standing": func(word reflect.Value) badge { return standing(word.String()) }, // of any of the nouns' states
		"initials": initials,
		"bar":      bar,
		"lower":    strings.ToLower,
		"inc":      func(i int) int { return i + 1 },
		"count":    func(n int) string { return number(int64(n)) },
		"ms":       milliseconds,
		"clip":     clip,
		"breaks":   breaks,

		"grantRows":   func(p page, r []grantRow) list[grantRow] { return list[grantRow]{p.around(), r} },
		"keyRows":     func(p page, r []keyRow) list[keyRow] { return list[keyRow]{p.around(), r} },
		"requestRows": func(p page, r []requestRow) list[requestRow] { return list[requestRow]{p.around(), r} },
		"gatewayRows": func(p page, e environmentView) list[gatewayRow] { return list[gatewayRow]{p.around(), e.Gateways} },
	}
}

// list is a table of a page that is not the page's only one.
type list[R any] struct {
	*frame
	Rows []R
}

// clip shortens a text for a table.
func clip(s string) string {
	const longest = 90
	if r := []rune(s); len(r) > longest {
		return strings.TrimSpace(string(r[:longest])) + "…"
	}
	return s
}

// breaks lets a browser break a path or a scope after its separators and nowhere else.
func breaks(s string) template.HTML {
	s = template.HTMLEscapeString(s)
	return template.HTML(strings.NewReplacer("/", "/<wbr>", ":", ":<wbr>").Replace(s))
}

// stamp writes one instant as <time>: the text people read, the instant machines read, and the whole of it as a title.
func stamp(t time.Time, text string) template.HTML {
	if t.IsZero() {
		return `<span class="none">never</span>`
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `" title="` + t.Format("Monday 2 January 2006, 15:04:05 UTC") + `">` +
		template.HTMLEscapeString(text) + `</time>`)
}

// moment shows an instant with its distance from now: "23 May 2027, 10:32 UTC (in 6 months)".
func moment(now, t time.Time) template.HTML {
	if t.IsZero() {
		return stamp(t, "")
	}
	return stamp(t, t.UTC().Format("2 Jan 2006, 15:04 UTC")) + template.HTML(` <span class="rel">(`+relative(now, t)+`)</span>`)
}

// day shows the day of an instant with its distance from now.
func day(now, t time.Time) template.HTML {
	if t.IsZero() {
		return stamp(t, "")
	}
	return stamp(t, t.UTC().Format("2 Jan 2006")) + template.HTML(` <span class="rel">(`+relative(now, t)+`)</span>`)
}

// ago shows only the distance.
func ago(now, t time.Time) template.HTML { return stamp(t, relative(now, t)) }

// relative is the distance of t from now in words.
func relative(now, t time.Time) string {
	d := t.Sub(now)
	if d > -5*time.Second && d < 5*time.Second {
		return "just now"
	}
	if d < 0 {
		return span(-d) + " ago"
	}
	return "in " + span(d)
}

// span is a length of time in the largest unit that tells it well, rounded down: nothing lasts longer than is said. Days,
// months and years have a little room, so that what was given for 90 days a moment ago does not read as 89.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "no time"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return count(int64(d/time.Second), "second")
	case d < time.Hour:
		return count(int64(d/time.Minute), "minute")
	case d < 2*day:
		return count(int64(d/time.Hour), "hour")
	case d < 100*day:
		return count(int64((d+time.Hour)/day), "day")
	case d < 730*day:
		return count(int64((d+day)/(30*day+10*time.Hour)), "month")
	}
	return count(int64((d+day)/(365*day)), "year")
}

// days is a length of time as plans give it: "90 days", "12 hours".
func days(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "no limit"
	case d == 365*day:
		return "1 year"
	case d%(365*day) == 0:
		return count(int64(d/(365*day)), "year")
	case d >= day && d%day == 0:
		return count(int64(d/day), "day")
	case d >= time.Hour && d%time.Hour == 0:
		return count(int64(d/time.Hour), "hour")
	case d >= time.Minute && d%time.Minute == 0:
		return count(int64(d/time.Minute), "minute")
	case d >= time.Second && d%time.Second == 0:
		return count(int64(d/time.Second), "second")
	}
	return d.String()
}

func count(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.FormatInt(n, 10) + " " + unit + "s"
}

// plural writes a number with its noun: 1 key, 3 keys, no keys.
func plural(n int, one, many string) string {
	switch n {
	case 0:
		return "no " + many
	case 1:
		return "1 " + one
	}
	return number(int64(n)) + " " + many
}

// number groups the digits of n in threes.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return sign + s
}

// short is the end of an ID, enough to tell two of a list apart.
func short(i id.ID) string {
	s := string(i)
	kind, rest, ok := strings.Cut(s, "_")
	if !ok || len(rest) <= 8 {
		return s
	}
	return kind + "_…" + rest[len(rest)-6:]
}

// initials are up to two letters for a round mark beside a name.
func initials(name string) string {
	var out []rune
	for _, word := range strings.Fields(name) {
		for _, r := range word {
			out = append(out, r)
			break
		}
	}
	if len(out) > 2 {
		out = []rune{out[0], out[len(out)-1]}
	}
	return strings.ToUpper(string(out))
}

// bar draws how much of a span of time is over, as a picture that needs no style of its own.
func bar(now, from, until time.Time) template.HTML {
	whole := until.Sub(from)
	if whole <= 0 {
		return ""
	}
	part := min(max(float64(now.Sub(from))/float64(whole), 0.012), 1) // a grant that has just begun shows too
	tone := "calm"
	if left := until.Sub(now); left <= 0 {
		tone = "over"
	} else if left < 14*24*time.Hour || part > 0.9 {
		tone = "soon"
	}
	return template.HTML(fmt.Sprintf(`<svg class="bar %s" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">`+
		`<rect class="bar-all" width="100" height="4"/><rect class="bar-over" width="%.1f" height="4"/></svg>`, tone, part*100))
}
