package portal

import (
	"fmt"
	"strings"
	"time"

	"gatehouse/credential"
	"gatehouse/grant"
	"gatehouse/manifest"
	"gatehouse/ratelimit"
)

// badge is a word for how something stands, and how it is coloured.
type badge struct{ Text, Tone string }

// standing colours the word for a state. Colour never says anything that the word does not.
func standing(word string) badge {
	switch word {
	case "active", "connected", "published", "verified", "approved", "accepted", "live", "in force", "in use", "confirmed", "renewed":
		return badge{word, "good"}
	case "open", "registered", "upcoming", "retiring", "pending", "unconfirmed", "waiting", "filling":
		return badge{word, "wait"}
	case "suspended", "expired", "deprecated", "lapsed", "escalated", "offboarding", "paused", "narrowed", "closing", "drained", "away":
		return badge{word, "warn"}
	case "refused", "revoked", "offboarded", "disabled", "erased", "denied", "emergency", "silent":
		return badge{word, "bad"}
	}
	return badge{word, "plain"} // closed, ended, withdrawn and whatever may come
}

// keyStanding is the word for how a credential stands at that time.
func keyStanding(c credential.Credential, now time.Time) string {
	return c.Standing(now)
}

// notices are the words of one page to the next.
var notices = map[string]string{
	"registered":        "Your organization is registered.",
	"confirmed":         "Your e-mail address is confirmed. You can sign in now.",
	"link-sent":         "If that address waits for a confirmation, a new letter is on its way.",
	"signed-out":        "You are signed out.",
	"password-set":      "Your new password is set. Sign in with it.",
	"password-changed":  "Your password is changed. Your other sessions have ended.",
	"session-ended":     "The session has ended.",
	"confirmed-session": "Thank you. It holds for 15 minutes.",
	"passkey-added":     "The passkey is added. You can sign in with it.",
	"passkey-renamed":   "The passkey has its new name.",
	"passkey-removed":   "The passkey is removed.",
	"factor-removed":    "The authenticator app is removed.",
	"factor-reset":      "The second factor is reset. They are told by a letter.",
	"factor-demanded":   "Your role demands a second factor: set one up first.",
	"application-made":  "The application is created.",
	"application-saved": "The application is saved.",
	"application-ended": "The application is closed. Its grants and credentials have ended with it.",
	"request-sent":      "Your request is sent.",
	"request-granted":   "Approved at once: the grant stands.",
	"request-withdrawn": "The request is withdrawn.",
	"approved":          "Your approval is recorded. The grant stands.",
	"approved-stage":    "Your approval is recorded. The request goes to its next stage.",
	"refused":           "Your refusal is recorded. The partner sees your reason.",
	"question-asked":    "Your question is on its way. It is decided once it has been answered.",
	"question-answered": "Your answer is on its way to the approver.",
	"drift-reviewed":    "The environments are reviewed.",
	"drift-uploaded":    "The files are read: they count from the next review on.",
	"drift-waived":      "The finding is accepted until then.",
	"drift-unwaived":    "The waiver is over: the finding counts again.",
	"review-started":    "The review has begun: everybody who is asked has a letter.",
	"review-cancelled":  "The review is cancelled. Nothing ends by it.",
	"review-confirm":    "The grant is confirmed.",
	"review-narrow":     "The grant is smaller now.",
	"review-end":        "The grant has ended.",
	"absence-set":       "Your stand-in decides from then on.",
	"absence-ended":     "The absence is called off.",
	"grant-narrowed":    "The grant is smaller now.",
	"grant-renewed":     "Approved at once: the grant has its new end.",
	"grant-suspended":   "The grant is suspended.",
	"grant-resumed":     "The grant is active again.",
	"grant-ended":       "The grant has ended.",
	"key-revoked":       "The key is revoked.",
	"initial-ended":     "The initial access token is ended. Nothing is registered with it any more.",
	"key-suspended":     "The key is suspended.",
	"key-resumed":       "The key is active again.",
	"key-activated":     "The key is in use from now on.",
	"key-changed":       "The key is changed.",
	"org-verified":      "The organization is verified.",
	"org-suspended":     "The organization is suspended. Nothing of it passes a gateway.",
	"org-offboarded":    "Everything of the organization has ended. It is offboarded once every gateway has said so.",
	"org-pinned":        "The organization is in its region. What gateways elsewhere knew of it is over.",
	"org-resumed":       "The organization is active again.",
	"invited":           "The invitation is on its way.",
	"invite-withdrawn":  "The invitation is withdrawn: its link opens nothing any more.",
	"accepted":          "Welcome. Sign in with the password that you have just chosen.",
	"member-saved":      "Roles and state of the member are saved.",
	"erased":            "The person is erased.",
	"erased-you":        "You are erased. Nothing personal is kept of you.",
	"left":              "You have left the organization. Your sessions have ended.",
	"webhook-saved":     "The webhook is saved.",
	"webhook-ended":     "The webhook has ended.",
	"resent":            "It is on its way again.",
	"staff-added":       "The person is added. A sign-in link is on its way to them.",
	"staff-saved":       "Roles and state are saved.",
	"token-revoked":     "The machine token is revoked.",
	"gateway-revoked":   "The gateway is revoked. It serves nothing from the moment it hears of it.",
	"region-added":      "The environment is served in the region: gateways can be enrolled there.",
	"region-removed":    "The environment is not served in the region any more.",
	"gateway-drained":   "The gateway is drained: no change waits for it any more.",
}

// deeds are the audit's actions in words, as in "Ines Ito …".
var deeds = map[string]string{
	"application.close": "closed the application", "application.create": "created the application", "application.update": "changed the application",
	"backup.create":    "made a backup",
	"credential.issue": "issued the key", "credential.issue-canary": "issued a canary for the offboarding", "credential.revoke": "revoked the key", "credential.suspend": "suspended the key", "credential.resume": "resumed the key",
	"credential.bind-workload": "bound the workload", "credential.enrol-certificate": "enrolled the client certificate", "credential.register-client": "registered the OAuth client", "credential.update-client": "changed the OAuth client by its registration",
	"initial-token.make": "made the initial access token", "initial-token.use": "registered a client with the initial access token", "initial-token.end": "ended the initial access token", "issuer.keys": "changed the signing keys of", "token.revoke": "revoked an access token of",
	"credential.activate": "activated the key", "credential.change": "changed the key", "credential.rotate": "issued the key in place of another", "credential.retire": "let the key retire", "credential.rotate-secret": "made another secret for the client",
	"credential.report-leak": "reported to have found the key", "credential.revoke-leaked": "reported to have found the key, and had it revoked",
	"device.allow": "let a command line sign in", "device.deny": "denied a command line", "device.use": "signed a command line in",
	"drift.review": "reviewed the environments for drift", "drift.upload": "uploaded files for the drift review", "drift.waive": "accepted a finding for a while", "drift.unwaive": "ended the waiver of a finding",
	"environment.add": "added the environment", "environment.raise-epoch": "began another epoch of the feed",
	"environment.add-region": "added a region to the environment", "environment.open-region": "opened the new region of the environment", "environment.remove-region": "removed a region from the environment",
	"factor.add": "set up a second factor", "factor.begin": "began to set up a second factor", "factor.remove": "removed the second factor",
	"factor.reset": "reset the second factor of", "factor.new-recovery-codes": "made new recovery codes", "factor.use-recovery-code": "used a recovery code",
	"person.join-by-sso": "came by single sign-on", "person.link-sso": "linked a single sign-on", "person.sso-roles": "changed roles by groups of a provider",
	"factor.add-passkey": "added a passkey", "factor.rename-passkey": "renamed a passkey", "factor.remove-passkey": "removed a passkey",
	"factor.copied-passkey": "showed a passkey that may be a copy",
	"session.ask-second":    "showed the first factor", "session.confirm": "confirmed a session",
	"gateway.invite": "made an enrolment token for the gateway", "gateway.enrol": "let the gateway enrol", "gateway.join": "enrolled the gateway", "gateway.renew": "renewed the identity of the gateway",
	"gateway.anchor": "changed the anchors of gateways", "gateway.drain": "drained the gateway", "gateway.revoke": "revoked the gateway",
	"grant.move": "moved the grant to where its organization is pinned", "credential.move": "moved the credential to where its organization is pinned",
	"grant.create": "made the grant", "grant.end": "ended the grant", "grant.resume": "resumed the grant", "grant.suspend": "suspended the grant",
	"invitation.accept": "accepted the invitation", "invitation.send": "invited somebody", "invitation.withdraw": "withdrew the invitation",
	"application.hand-over": "handed over the application", "person.accept-invitation": "joined by an invitation",
	"person.change-member": "changed roles or state of a member", "person.erase": "erased the person", "person.leave": "left the organization", "person.succeed": "made the successor an owner",
	"absence.set": "named a stand-in", "absence.call-off": "called an absence off",
	"grant.renew": "renewed the grant", "grant.grow": "grew the grant", "grant.narrow": "narrowed the grant", "grant.emergency": "made the emergency grant",
	"request.ask": "asked a question", "request.answer": "answered a question", "request.emergency": "asked for emergency access",
	"request.remind": "reminded of a decision", "request.escalate": "escalated a decision", "request.lapse": "let the request lapse",
	"webhook.add": "added the webhook", "webhook.change": "changed the webhook", "webhook.rotate": "made a fresh secret for the webhook", "webhook.pause": "paused the webhook", "webhook.end": "ended the webhook",
	"webhook.resend": "sent an event again", "webhook.give-up": "gave up on an event", "grant.ending": "told of the grant's end", "credential.ending": "told of the credential's end",
	"grant.confirm": "confirmed that the grant is still needed", "review.start": "started the review", "review.cancel": "cancelled the review", "review.close": "closed the review",
	"review.remind": "reminded of the review", "review.report": "sealed the report of the review", "review.confirm": "answered the review: still needed", "review.narrow": "answered the review: less is needed",
	"review.end": "answered the review: not needed", "review.silence": "ended what nobody answered in the review", "review.settle": "settled the question of the review",
	"letter.give-up": "gave up on a letter", "link.send": "sent a link",
	"machine.create": "made the machine token", "machine.revoke": "revoked the machine token",
	"organization.register": "registered the organization", "organization.resume": "resumed the organization",
	"organization.offboard": "offboarded the organization", "organization.offboard-complete": "completed the offboarding", "organization.offboard-evidence": "sealed the evidence of the offboarding",
	"organization.suspend": "suspended the organization", "organization.verify": "verified the organization", "organization.pin": "chose the region of the organization",
	"person.add-staff": "added the person", "person.change-password": "changed the password", "person.change-staff": "changed roles or state",
	"person.confirm": "confirmed the address", "person.recover-admin": "recovered the administrator", "person.register": "registered",
	"person.reset-password": "set a new password",
	"request.approve":       "approved the request", "request.approve-stage": "approved one stage", "request.create": "asked for access",
	"request.refuse": "refused the request", "request.withdraw": "withdrew the request",
	"revision.publish": "published the revision",
	"store.restore":    "restored the database from a backup",
	"session.end":      "ended the session", "session.end-all": "ended every session", "session.start": "signed in",
}

// actionWords tells an action in words; one that has none yet is written as it is, without a guess at the grammar.
func actionWords(action string) string {
	if s, ok := deeds[action]; ok {
		return s
	}
	return strings.NewReplacer(".", " ", "_", " ", "-", " ").Replace(action)
}

// approvalRoute tells in words how a request on the plan is decided.
func approvalRoute(a manifest.Approval) string {
	if a.Automatic {
		return "Approved at once for a verified organization."
	}
	var steps []string
	for _, s := range a.Stages {
		who := "one " + roleWord(s.Role)
		if s.Count > 1 {
			who = fmt.Sprintf("%d %ss", s.Count, roleWord(s.Role))
		}
		if s.Name != "" {
			who += " (" + s.Name + ")"
		}
		steps = append(steps, who)
	}
	switch len(steps) {
	case 0:
		return "Decided by one approver of the platform."
	case 1:
		return "Decided by " + steps[0] + "."
	}
	return "Decided by " + strings.Join(steps[:len(steps)-1], ", then ") + ", then " + steps[len(steps)-1] + "."
}

func roleWord(r string) string {
	if r == "" {
		return "approver"
	}
	return r
}

// limitWords tells a limit in words: "10 requests per second, up to 20 at once".
func limitWords(requests int64, per time.Duration, burst int64) string {
	s := number(requests) + " requests per " + perWord(per)
	if requests == 1 {
		s = "1 request per " + perWord(per)
	}
	if burst > 0 && burst != requests {
		s += ", up to " + number(burst) + " at once"
	}
	return s
}

func planLimits(p manifest.Plan) []string {
	ls := p.Limits
	out := make([]string, 0, len(ls)+len(p.Quotas))
	for _, l := range ls {
		out = append(out, limitWords(l.Requests, time.Duration(l.Per), l.Burst))
	}
	for _, text := range p.Quotas {
		if q, err := ratelimit.ParseQuota(text); err == nil {
			out = append(out, number(q.Window.Requests)+" in a calendar "+string(q.Period))
		}
	}
	return out
}

func windowWords(ws []ratelimit.Window) []string {
	out := make([]string, 0, len(ws))
	for _, w := range ws {
		out = append(out, limitWords(w.Requests, w.Per, w.Burst))
	}
	return out
}

func perWord(d time.Duration) string {
	switch d {
	case time.Second:
		return "second"
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	case 24 * time.Hour:
		return "day"
	case 7 * 24 * time.Hour:
		return "week"
	}
	return days(d)
}

// step is one step of a way: what happened or will, and how it stands.
type step struct {
	Title, Text string
	State       string // done, now, next or bad
	At          time.Time
	By          string
}

// timeline tells the way of a request: asked, each stage, and what came of it.
func timeline(r grant.Request, name func(grant.Decision) string, asker string) []step {
	out := []step{{Title: "Access requested", By: asker, At: r.Created, State: "done", Text: r.Purpose}}
	for _, q := range r.Questions {
		if q.Answer != "" {
			out = append(out, step{Title: "Question: " + q.Text, At: q.Answered, State: "done", Text: q.Answer})
		}
	}
	if r.Rule != nil && r.Rule.Then == "people" && r.Rule.Rule != "" {
		out = append(out, step{Title: "Rule " + r.Rule.Rule, State: "done", Text: r.Rule.Reason})
	}
	waiting := r.Stage()
	for i, s := range r.Stages {
		title := s.Name
		if title == "" {
			title = "Approval"
		}
		decided := false
		for _, d := range r.Decisions {
			if d.Stage != i {
				continue
			}
			decided = true
			if d.Approve {
				out = append(out, step{Title: title + ": approved", By: name(d), At: d.At, State: "done", Text: d.Reason})
			} else {
				out = append(out, step{Title: title + ": refused", By: name(d), At: d.At, State: "bad", Text: d.Reason})
			}
		}
		switch {
		case r.State == grant.Open && i == waiting:
			text := waitsFor(s, decided)
			if r.Escalated {
				text += " A person with the role " + roleWord(s.StandIn) + " may decide as well."
			}
			if d := r.Deadline(); !d.IsZero() {
				text += " Until " + d.UTC().Format("2 January 2006, 15:04 UTC") + "."
			}
			out = append(out, step{Title: title, State: "now", Text: text})
		case r.State == grant.Open && i > waiting:
			out = append(out, step{Title: title, State: "next", Text: "After the stage before it."})
		}
	}
	if q, waits := r.Waiting(); waits {
		out = append(out, step{Title: "Waits for an answer", State: "now", Text: q.Text})
	}
	switch r.State {
	case grant.Lapsed:
		out = append(out, step{Title: "Lapsed", State: "bad", Text: "Nobody answered in time, or what it was about has ended."})
	case grant.Open:
		out = append(out, step{Title: "Grant", State: "next", Text: "Stands as soon as the last stage approves."})
	case grant.Approved:
		out = append(out, step{Title: "The grant stands", State: "done"})
	case grant.Withdrawn:
		out = append(out, step{Title: "Withdrawn", State: "bad"})
	}
	return out
}

func waitsFor(s grant.Stage, some bool) string {
	switch {
	case some:
		return "Waits for one more " + roleWord(s.Role) + "."
	case s.Count > 1:
		return fmt.Sprintf("Waits for %d people with the role %s.", s.Count, roleWord(s.Role))
	}
	return "Waits for a person with the role " + roleWord(s.Role) + "."
}
