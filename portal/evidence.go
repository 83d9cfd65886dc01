package portal

import "gatehouse/id"

// downloadEvidence sends what the audit log says about an object, with its proof.
func downloadEvidence(v *visit) error {
	i := id.ID(v.r.PathValue("id"))
	e, err := v.Control.Evidence(v.r.Context(), v.actor, i)
	if err != nil {
		return err
	}
	return v.download(string(i), e)
}
