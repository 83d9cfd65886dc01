package portal

import (
	"encoding/json"

	"gatehouse/id"
)

// downloadEvidence sends what the audit log says about an object, with its proof.
func downloadEvidence(v *visit) error {
	i := id.ID(v.r.PathValue("id"))
	e, err := v.Control.Evidence(v.r.Context(), v.actor, i)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="`+string(i)+`.json"`)
	h.Set("Cache-Control", "no-store")
	v.written = true
	_, _ = v.w.Write(b) // the visitor may have gone
	return nil
}
