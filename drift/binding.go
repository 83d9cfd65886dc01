package drift

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// tierWords are how people write tiers into names. A word may carry a number: dev01.
var tierWords = map[string]Tier{
	"dev": Dev, "develop": Dev, "development": Dev, "sandbox": Dev, "sbx": Dev,
	"test": Test, "tst": Test, "qa": Test, "int": Test, "integration": Test,
	"stage": Stage, "staging": Stage, "stg": Stage, "uat": Stage, "acc": Stage, "preprod": Stage, "ppd": Stage, "nonprod": Stage,
	"prod": Prod, "prd": Prod, "production": Prod, "live": Prod,
}

// regionWords are names and short names of regions that people write into names.
var regionWords = []string{
	"weu", "neu", "eus", "eus2", "wus", "wus2", "wus3", "scus", "ncus", "cus", "uks", "ukw", "sdc", "swc", "noe", "frc", "gwc",
	"westeurope", "northeurope", "eastus", "eastus2", "westus", "westus2", "westus3", "southcentralus", "northcentralus", "centralus",
	"uksouth", "ukwest", "swedencentral", "norwayeast", "francecentral", "germanywestcentral", "switzerlandnorth", "southeastasia", "eastasia", "australiaeast", "japaneast",
	"euw1", "euw2", "euc1", "use1", "use2", "usw1", "usw2",
}

var (
	word    = regexp.MustCompile(`[A-Za-z]+[0-9]*`)
	guid    = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	hexLong = regexp.MustCompile(`(?i)\b(?:[0-9a-f]{2}:?){19,}[0-9a-f]{2}\b`)
	account = regexp.MustCompile(`\b[0-9]{12}\b`)
	awsZone = regexp.MustCompile(`\b(?:us|eu|ap|sa|ca|me|af)-(?:north|south|east|west|central|northeast|southeast|northwest|southwest)-[0-9]\b`)
)

// TierIn is the tier that a name mentions, and whether it mentions one.
func TierIn(s string) (Tier, bool) {
	for _, w := range word.FindAllString(stripCommon(s), -1) {
		if t, ok := tierWord(w); ok {
			return t, true
		}
	}
	return "", false
}

// tierSuffixes are tier words that are also glued to the end of another word: apimdev, kvprd01.
var tierSuffixes = []string{"dev", "tst", "stg", "prd", "prod"}

func tierWord(w string) (Tier, bool) {
	w = strings.ToLower(strings.TrimRight(w, "0123456789"))
	if t, ok := tierWords[w]; ok {
		return t, true
	}
	for _, s := range tierSuffixes {
		if len(w) > len(s)+2 && strings.HasSuffix(w, s) {
			return tierWords[s], true
		}
	}
	return "", false
}

// stripCommon takes out names that hold a tier's word and mean no tier, such as the domain .dev and .test.
func stripCommon(s string) string {
	if i := strings.Index(s, "://"); i >= 0 {
		scheme, rest := s[:i+3], s[i+3:]
		host, path, _ := strings.Cut(rest, "/")
		for _, d := range []string{".dev", ".test", ".live", ".int"} {
			h, port, _ := strings.Cut(host, ":")
			host = strings.TrimSuffix(h, d) + ":" + port
		}
		return scheme + host + "/" + path
	}
	return s
}

// Shape is the binding class of a value: what is left of it when everything that differs between environments by its nature is
// taken out, such as words for tiers and regions, GUIDs, account numbers, fingerprints, and the environment's own name. Two
// values of the same shape are an expected difference.
func Shape(s string, e *Environment) string {
	s = guid.ReplaceAllString(s, "{guid}")
	s = hexLong.ReplaceAllString(s, "{fingerprint}")
	s = account.ReplaceAllString(s, "{account}")
	s = awsZone.ReplaceAllString(s, "")
	own := ""
	if e != nil && len(e.Name) > 2 { // a shorter name is too likely a word of something else
		own = strings.ToLower(e.Name)
	}
	out := word.ReplaceAllStringFunc(s, func(w string) string {
		l := strings.ToLower(w)
		if own != "" && l == own || slices.Contains(regionWords, l) || e != nil && e.Region != "" && l == strings.ToLower(e.Region) {
			return ""
		}
		if _, ok := tierWord(l); ok {
			if _, whole := tierWords[strings.TrimRight(l, "0123456789")]; whole {
				return ""
			}
			l = strings.TrimRight(l, "0123456789")
			for _, suffix := range tierSuffixes {
				if len(l) > len(suffix)+2 && strings.HasSuffix(l, suffix) {
					return strings.TrimSuffix(l, suffix)
				}
			}
		}
		return l
	})
	return tidy(out)
}

var seams = regexp.MustCompile(`[-_.]{2,}`)

var looseEnds = strings.NewReplacer("/-", "/", "-/", "/", "-.", ".", ".-", ".", "/.", "/", "_/", "/", "/_", "/", "-:", ":", ".:", ":")

// tidy closes the seams that words taken out have left.
func tidy(s string) string {
	s = seams.ReplaceAllStringFunc(s, func(m string) string { return m[:1] })
	s = looseEnds.Replace(s)
	return strings.Trim(s, "-_.")
}

// Shapes are the shapes of a list, sorted.
func Shapes(list []string, e *Environment) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = Shape(s, e)
	}
	return Sorted(out)
}

// hostOf is the host of an address or a bare host name, in lower case and without port.
func hostOf(s string) string {
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		return strings.ToLower(u.Hostname())
	}
	h, _, _ := strings.Cut(strings.TrimPrefix(s, "//"), "/")
	h, _, _ = strings.Cut(h, ":")
	return strings.ToLower(h)
}

// foreign reports whether a value names another tier than the environment's own, and which. Everything that is not production is one
// side and production the other: a test environment that uses a dev vault is no more than untidy.
func foreign(value string, e *Environment) (Tier, bool) {
	t, ok := TierIn(value)
	if !ok || e.Tier == "" {
		return "", false
	}
	return t, (t == Prod) != (e.Tier == Prod)
}
