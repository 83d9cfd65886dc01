package plan

import (
	"strings"

	"gatehouse/drift"
)

// decision is why no file is changed whatever the gateway: somebody must decide, or knows what no file says.
func decision(f *drift.Finding) error {
	reason := ""
	switch field := f.Field; {
	case field == "operation":
		reason = "whether the operation is to exist is a decision of its owner"
	case field == "match":
		reason = "which paths and methods are meant is a decision of the API's owner"
	case field == "opaque":
		reason = "code is not changed by a review that does not run it"
	case field == "gap":
		reason = "what is missing is not among the files"
	case field == "detached":
		reason = "whether it was to be attached or may go is a decision"
	case field == "secret":
		reason = "the review does not keep the secret, and does not know the vault"
	case field == "upstream.urls":
		reason = "whether the upstream answers over TLS is not in the files"
	case field == "auth.jwt.keys":
		reason = "which tenant's tokens are meant is known to the owner of the API alone"
	case strings.HasPrefix(field, "cert."), strings.HasPrefix(field, "exposure."):
		reason = "it is not a setting of the gateway's files"
	case strings.HasPrefix(field, "reference."):
		reason = "this environment's own address is not in the files"
	case field == "logging.sinks", field == "tracing.endpoint", field == "metrics.sink":
		reason = "whether the sink answers over TLS is not in the files"
	case field == "rate.enforcement":
		reason = "where a shared counter is to be kept is not in the files"
	}
	if reason == "" {
		return nil
	}
	return refuse(reason, "")
}

// settled reports whether a standard of the same gateway decides what otherwise is a decision, or knows what is not in the files: that the
// same upstream answers over TLS, for one.
func settled(f *drift.Finding) bool {
	switch f.Field {
	case "match", "operation", "detached", "gap", "exposure.bypass", "cert.version_pinned", "auth.jwt.keys", "rate.enforcement",
		"upstream.urls", "logging.sinks", "tracing.endpoint", "metrics.sink":
		return true
	}
	return false
}

// absent is why nothing is written for a setting that stands nowhere in the files, or that no single entry of them decides.
func absent(f *drift.Finding, gateway string) string {
	switch field := f.Field; {
	case field == "auth.ways" && f.Rule == "DR-AUT-02":
		return "what stands in the way of the wider rule is not one entry that could be taken out, and what it was put there for is not in the files"
	case field == "auth.ways" || field == "auth.optional" || field == "auth.exempt" || field == "auth.anonymous_fallback":
		return "whom to ask and whose tokens to accept is this environment's own, and nothing that is defined in it and could be attached asks for the same"
	case field == "auth.jwt.static_keys":
		return "where this environment's issuer publishes its keys is not in its files"
	case field == "auth.jwt.audiences" || field == "auth.jwt.issuers" || field == "auth.jwt.algs":
		return "the values that are right here are the issuer's and the API's, and neither side writes them"
	case strings.HasPrefix(field, "auth.jwt."):
		return gateway + " has no entry for this check of tokens where this policy stands"
	case field == "authz":
		return "which rights callers have here is given out by this environment's issuer, and the gateway's check of them is not one entry"
	case strings.HasSuffix(field, ".ca_refs") || strings.HasSuffix(field, ".pins") || field == "tls.client_auth" || strings.HasSuffix(field, "client_cert_ref"):
		return "which authorities and certificates this environment trusts is not in its files, and those of the other side are its own"
	case strings.HasPrefix(field, "auth.mtls"), field == "auth.forward", field == "auth.in_query":
		return "where the credential is taken from and what is passed on is decided by several entries together, and upstreams may rely on them"
	case strings.HasPrefix(field, "auth.external"):
		return "how long an answer may be kept, and by what, is known to the authorizer alone"
	case field == "tls.plain" || field == "tls.http_redirect_code":
		return "plain HTTP ends with a certificate and a listener, and this environment's certificate is not in the files"
	case field == "tls.hsts_max_age_s":
		return "no entry of these files sets the header, and whether the address is reached over TLS alone is decided where TLS ends"
	case strings.HasPrefix(field, "tls."):
		return "TLS ends where these files do not reach, or is decided by several entries together"
	case strings.HasPrefix(field, "rate"), field == "quota":
		return "the limit is decided by several entries together, or counts by something that the other side names and this one does not have"
	case strings.HasPrefix(field, "limits."):
		return gateway + " has no entry for this bound where the operation stands"
	case field == "waf":
		return "which rules filter is chosen where the filter is kept, and it is not defined in this environment's files"
	case field == "transforms" || field == "transforms.order":
		return "the other side sets values of its own, and what the upstream here expects is not in the files"
	case field == "logging.fields" || field == "logging.format" || field == "logging.redactions" || field == "logging.headers_logged":
		return "a log's format is one text that whoever reads the log relies on, and neither side names its parts"
	case field == "logging.enabled" || field == "tracing.enabled" || field == "metrics.enabled":
		return "where this environment collects it is not in its files"
	case strings.HasPrefix(field, "logging.") || strings.HasPrefix(field, "tracing.") || strings.HasPrefix(field, "metrics."):
		return "it is decided where it is collected, and no entry of these files says it"
	case strings.HasPrefix(field, "diag."):
		return "the answer to errors is a text of the team's own, and what it is to say instead is not known"
	case field == "debug":
		return "the made-up answer is all that the operation has: what is to answer instead is not in the files"
	case strings.HasPrefix(field, "ip."):
		return "what stands in front of this environment, and whose addresses are let in, is not in its files"
	case strings.HasPrefix(field, "cors."):
		return "which pages call here is known to their owners alone, and the list is not one entry"
	case strings.HasPrefix(field, "lifecycle."):
		return "subscriptions and approvals are kept outside of what was read"
	case field == "order":
		return "what runs first may be there for a reason: in front of authentication it sees every call"
	}
	return "no entry of this environment's files decides it"
}

// control is what makes up for a finding that no change closes.
func control(f *drift.Finding) string {
	switch field := f.Field; {
	case f.Rule == "DR-EXP-01":
		return "decide whether the operation is to exist; until then keep it from the outside by a rule at the edge, and review who calls it"
	case f.Rule == "DR-EXP-11":
		return "add what is missing to the folder, and read again"
	case f.Rule == "DR-EXP-10":
		return "have somebody read both sides, and accept the difference with a waiver that ends"
	case f.Rule == "DR-AUT-22":
		return "put the secret into a vault, refer to it, and replace the secret: whoever could read the file has it"
	case f.Rule == "DR-AUT-03":
		return "attach it where it was meant to stand, or take it out, so that nobody relies on it"
	case field == "upstream.urls":
		return "let the upstream answer over TLS and change the address with its owner; until then keep the way to it in a private network"
	case strings.HasPrefix(field, "cert.") || strings.HasPrefix(field, "reference.certificate"):
		return "have the certificate renewed or replaced by who issues it; watch its end with drift certs"
	case strings.HasPrefix(field, "exposure."):
		return "close the address at the network: a private endpoint or a rule that admits the edge alone"
	case strings.HasPrefix(field, "reference."):
		return "point it to this environment's own; only its owner knows the address"
	case strings.HasPrefix(field, "auth"):
		return "have the upstream check the caller as well, and put a gateway that can in front; watch calls without a known caller"
	case strings.HasPrefix(field, "tls."):
		return "end TLS in front, in a load balancer that can demand it, and close the direct way"
	case field == "rate.enforcement":
		return "keep the counter in a shared store, or divide the limit by the number of replicas"
	case strings.HasPrefix(field, "rate"), field == "quota":
		return "limit at the edge or in the upstream, and alarm on callers who go beyond"
	case strings.HasPrefix(field, "limits."):
		return "bound it in front or in the upstream"
	case strings.HasPrefix(field, "cors."):
		return "check Origin in the upstream, and ask for a token that a page of another origin does not have"
	case strings.HasPrefix(field, "ip."):
		return "filter addresses in the network, before the gateway"
	case strings.HasPrefix(field, "logging.") || strings.HasPrefix(field, "tracing.") || strings.HasPrefix(field, "metrics.") || strings.HasPrefix(field, "diag."):
		return "collect it beside the gateway: from the load balancer in front or the upstream behind"
	case strings.HasPrefix(field, "lifecycle."):
		return "hand out access outside the gateway, with a list of who has it and until when"
	}
	return "accept it with a waiver that has an owner, a reason and an end"
}
