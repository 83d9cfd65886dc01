package audit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/feed"
	"gatehouse/id"
)

// offboarded is what the evidence of an offboarding holds, as far as it is verified here.
type offboarded struct {
	Run   id.ID `json:"run"`
	Ended []struct {
		ID          id.ID  `json:"id"`
		Environment string `json:"environment"`
		Kind        string `json:"kind"`
		Mark        []byte `json:"mark"`
	} `json:"ended"`
	Canaries []feed.Canary     `json:"canaries"`
	Unshown  map[string]string `json:"unshown"`
	Notes    []string          `json:"notes"`
	Gateways []struct {
		Environment string            `json:"environment"`
		Seq         int64             `json:"seq"`
		Counted     []string          `json:"counted"`
		Unserved    bool              `json:"unserved"`
		Keys        map[string]string `json:"keys"`
		Receipts    []feed.Receipt    `json:"receipts"`
		Before      []feed.Sworn      `json:"before"`
		Sworn       []feed.Sworn      `json:"sworn"`
	} `json:"gateways"`
	Complete time.Time `json:"complete"`
}

const offboardEvidence = "organization.offboard-evidence"

// offboarding reads the evidence of an offboarding that the entry holds. ok is false for another entry, and for one of before
// gateways swore.
func offboarding(l leaf) (o offboarded, ok bool) {
	if l.Action != offboardEvidence || json.Unmarshal([]byte(l.After), &o) != nil {
		return o, false
	}
	return o, o.Run != ""
}

// unproven says what the gateways' answers do not prove, though the entry says that the offboarding is complete: nothing, if each
// gateway that counts has sworn that it refuses each credential, and each canary was let in before, or it is said why not.
func (l leaf) unproven() (out []string) {
	o, ok := offboarding(l)
	if !ok {
		if l.Action == offboardEvidence && json.Unmarshal([]byte(l.After), &o) != nil {
			return []string{"the evidence of the offboarding cannot be read"}
		}
		return nil
	}
	seen := map[string]bool{}
	for _, at := range o.Gateways {
		seen[at.Environment] = true
		ask := feed.Probe{ID: o.Run, Environment: at.Environment, Seq: at.Seq}
		for _, e := range o.Ended {
			if e.Environment == at.Environment && e.ID.Is(id.Credential) {
				ask.Credentials = append(ask.Credentials, feed.Probed{Credential: e.ID, Kind: e.Kind, Mark: e.Mark})
			}
		}
		canaries := feed.Probe{ID: o.Run, Environment: at.Environment}
		for _, k := range o.Canaries {
			if k.Environment == at.Environment && k.Credential != "" {
				canaries.Seq, canaries.Credentials = max(canaries.Seq, k.Seq), append(canaries.Credentials, k.Probed)
				if !slices.ContainsFunc(ask.Credentials, func(p feed.Probed) bool { return p.Credential == k.Credential }) {
					out = append(out, fmt.Sprintf("the canary %s is not among what ended in %s", k.Credential, at.Environment))
				}
			}
		}
		if at.Unserved != (len(at.Counted) == 0) {
			out = append(out, "it is not said whether gateways serve "+at.Environment)
		}
		for _, r := range at.Receipts { // a gateway that was heard of lately counts
			if r.Position.Seq < at.Seq && slices.Contains(at.Counted, r.Gateway) {
				out = append(out, fmt.Sprintf("the receipt of gateway %s of %s is of change %d, not %d", r.Gateway, at.Environment, r.Position.Seq, at.Seq))
			}
		}
		for _, g := range at.Counted {
			if len(ask.Credentials) > 0 && !sworn(at.Sworn, g, at.Keys[g], ask, false) {
				out = append(out, fmt.Sprintf("gateway %s of %s has not sworn that it refuses the %d credentials", g, at.Environment, len(ask.Credentials)))
			}
			if _, said := o.Unshown[at.Environment+"/"+g]; !said && len(canaries.Credentials) > 0 && !sworn(at.Before, g, at.Keys[g], canaries, true) {
				out = append(out, fmt.Sprintf("gateway %s of %s has not sworn that it let the canaries in before the end, and it is not said why", g, at.Environment))
			}
		}
	}
	for _, e := range o.Ended {
		if !seen[e.Environment] {
			seen[e.Environment] = true
			out = append(out, "nothing is said of the gateways of "+e.Environment)
		}
	}
	return out
}

func sworn(list []feed.Sworn, gateway, key string, p feed.Probe, passes bool) bool {
	return slices.ContainsFunc(list, func(s feed.Sworn) bool {
		_, err := s.Proves(gateway, p, passes)
		return err == nil && s.By(key)
	})
}

// left tells the evidence of an offboarding that the entry holds.
func left(l leaf) string {
	o, ok := offboarding(l)
	if !ok {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %d grants and credentials have ended\n", len(o.Ended))
	for _, at := range o.Gateways {
		for _, g := range at.Counted {
			fmt.Fprintf(&b, "  gateway %s of %s: everything through change %d is in force; sworn answers: %d before the end, %d after\n", g, at.Environment, at.Seq, count(at.Before, g), count(at.Sworn, g))
		}
	}
	for _, n := range o.Notes {
		fmt.Fprintf(&b, "  not shown: %s\n", strings.Join(strings.Fields(n), " "))
	}
	return b.String()
}

func count(list []feed.Sworn, gateway string) (n int) {
	for _, s := range list {
		if a, err := s.Open(); err == nil && a.Gateway == gateway {
			n++
		}
	}
	return n
}
