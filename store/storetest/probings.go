package storetest

import (
	"gatehouse/feed"
	"gatehouse/id"
	"gatehouse/store"
)

func probings() []promise {
	return []promise{
		{"PutProbingVersions", func(w *world) {
			p := feed.Probing{ID: id.New(id.Offboarding, w.now), Organization: id.New(id.Organization, w.now), Canaries: []feed.Canary{}, Before: []feed.Sworn{}, After: []feed.Sworn{}}
			versions(w, p, func(p *feed.Probing) *int64 { return &p.Version },
				func(p *feed.Probing) {
					p.ID = id.New(id.Offboarding, w.now)
					p.Canaries = []feed.Canary{{Probed: feed.Probed{Credential: "crd_1", Kind: "api_key", Mark: []byte{1, 2}}, Environment: "live", Seq: 7, Why: "w"}}
					p.Before = []feed.Sworn{{Answer: `{"a": "<é>"}`, Key: []byte{3}, Signature: []byte{4}}}
					p.After, p.Unshown, p.Trouble = p.Before, map[string]string{"live/gw": "late"}, map[string]string{"test/gw": "away"}
				},
				func(tx store.Tx, p feed.Probing) (feed.Probing, error) { return tx.PutProbing(w.ctx(), p) },
				func(tx store.Tx) (feed.Probing, error) { return tx.Probing(w.ctx(), p.Organization) })
		}},
	}
}
