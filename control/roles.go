package control

import (
	"gatehouse/fault"
	"gatehouse/identity"
)

// who is a set of callers: by what they are and by the roles they have.
type who uint16

// The callers. A machine token counts as what its person is, with the roles that the token was given.
const (
	anybody   who = 1 << iota // nobody in particular too
	owner                     // member with that role, and so on
	developer                 //
	viewer                    //
	admin                     // staff with that role, and so on
	approver                  //
	apiOwner                  //
	operator                  //
	auditor                   //
	host                      // the data directory's owner
	system                    // Gatehouse itself

	inPerson // and not by a machine token
	lately   // and by a session that was signed in or confirmed within confirmFor: what matters most
	unproven // and by a session that has not shown the second factor that is demanded: to get there, and to leave
)

// Sets of callers that stand together often.
const (
	builders = owner | developer
	members  = owner | developer | viewer
	staff    = admin | approver | apiOwner | operator | auditor
	holders  = admin | approver | apiOwner | operator
	keepers  = operator | admin
	readers  = members | staff | host
)

// rights is who may call what. Whether the object is theirs to see is asked beside it: an object of another organization
// is not found. A method that is not listed may be called by nobody.
var rights = map[string]who{
	// Signing in.
	"Register":             anybody,
	"ConfirmEmail":         anybody,
	"ResendConfirmation":   anybody,
	"SignIn":               anybody,
	"SignInByLink":         anybody,
	"RequestPasswordReset": anybody,
	"ResetPassword":        anybody,
	"StartDevice":          anybody,
	"PollDevice":           anybody,

	"ProveSecondFactor":  anybody,
	"BeginPasskeySignIn": anybody,
	"SignInByPasskey":    anybody,
	"SignOns":            anybody,
	"StartSSO":           anybody,
	"FinishSSO":          anybody,

	// One's own.
	"SignOut":            members | staff | inPerson | unproven,
	"ChangePassword":     members | staff | inPerson,
	"Device":             members | staff | inPerson,
	"DecideDevice":       members | staff | inPerson,
	"Sessions":           members | staff | inPerson | unproven,
	"EndSession":         members | staff | inPerson,
	"CreateMachineToken": members | staff | inPerson | lately, // a leaked token cannot prolong itself
	"MachineTokens":      members | staff | host,
	"RevokeMachineToken": members | staff,

	// Second factors.
	"ConfirmSession":      members | staff | inPerson | unproven,
	"SecondFactors":       readers | unproven,
	"EnrolAuthenticator":  members | staff | inPerson | lately | unproven,
	"FinishAuthenticator": members | staff | inPerson | unproven,
	"RemoveAuthenticator": members | staff | inPerson | lately,
	"NewRecoveryCodes":    members | staff | inPerson | lately,
	"ResetSecondFactors":  owner | keepers | host | inPerson | lately, // of another one: staff's by an admin

	"BeginPasskey":  members | staff | inPerson | lately | unproven,
	"FinishPasskey": members | staff | inPerson | unproven,
	"Passkeys":      members | staff | inPerson | unproven,
	"RenamePasskey": members | staff | inPerson,
	"RemovePasskey": members | staff | inPerson | lately,
	"Subjects":      members | staff | inPerson | unproven,

	// People.
	"Person":       readers | unproven,
	"Members":      readers,
	"StaffList":    staff | host,
	"AddStaff":     admin | host | lately,
	"ChangeStaff":  admin | lately,
	"ExportPerson": members | staff | host | inPerson | lately, // of another one: admin
	"ErasePerson":  members | staff | host | inPerson | lately, // of another one: an owner a member of theirs, an admin anybody
	"RecoverAdmin": host,
	"ChangeMember": owner | keepers,
	"Leave":        members | inPerson,

	// Invitations.
	"Invite":             builders | keepers | host, // and no role above one's own
	"Invitations":        readers,
	"WithdrawInvitation": builders | keepers | host,
	"SeeInvitation":      anybody,
	"AcceptInvitation":   anybody,

	// Organizations.
	"Organizations":        staff | host,
	"Organization":         readers | unproven,
	"VerifyOrganization":   keepers,
	"SuspendOrganization":  keepers,
	"ResumeOrganization":   keepers,
	"PinOrganization":      keepers,
	"OffboardOrganization": keepers | inPerson | lately, // a leaked token ends no partner
	"Offboarding":          readers,

	// Applications.
	"CreateApplication": builders | keepers,
	"UpdateApplication": builders | keepers,
	"CloseApplication":  builders | keepers,
	"Application":       readers,
	"Applications":      readers,

	// The catalogue.
	"Catalogue": anybody,
	"Product":   anybody,
	"Document":  anybody,

	// Requests and grants.
	"RequestAccess":   builders | keepers,
	"WithdrawRequest": builders | keepers,
	"Request":         readers,
	"Requests":        readers,
	"Facts":           staff | host,
	"Decide":          holders, // and the role that the stage asks for
	"AskQuestion":     holders, // as to decide
	"AnswerQuestion":  builders | keepers,
	"SetAbsence":      holders | inPerson,
	"CallOffAbsence":  holders | inPerson,
	"Absences":        staff | host,
	"tend":            system,
	"Grant":           readers,
	"NarrowGrant":     holders | builders,
	"Grants":          readers,
	"SuspendGrant":    holders,
	"ResumeGrant":     holders,
	"EndGrant":        holders | builders,

	// Reviews.
	"StartReview":   keepers | apiOwner, // of their API
	"CancelReview":  keepers,
	"Review":        staff | host,
	"Reviews":       staff | host,
	"ReviewItems":   readers,
	"ReviewItem":    readers,
	"ReviewChoices": readers,
	"AnswerReview":  members | holders, // and who was asked

	// Credentials.
	"IssueKey":           builders, // nobody of the platform ever sees a partner's key
	"RotateKey":          builders,
	"RegisterClient":     builders,
	"MakeInitialToken":   builders | inPerson, // a leaked token makes no others
	"InitialTokens":      readers,
	"EndInitialToken":    builders | keepers,
	"RegisterByToken":    anybody, // who has the token
	"Registration":       anybody,
	"UpdateRegistration": anybody,
	"EndRegistration":    anybody,
	"EnrolCertificate":   builders,
	"BindWorkload":       builders,
	"TrustedIssuers":     readers,
	"Authority":          readers,
	"IssueToken":         anybody, // who proves a client
	"RevokeToken":        anybody,
	"IntrospectToken":    anybody,
	"Issuer":             anybody,
	"ResourceScopes":     anybody,
	"RotateSigningKey":   keepers | lately,
	"ChangeCredential":   builders,
	"ActivateCredential": builders,
	"SuspendCredential":  builders | keepers,
	"ResumeCredential":   builders | keepers,
	"RevokeCredential":   builders | keepers,
	"ReportLeak":         anybody,
	"Credential":         readers,
	"Credentials":        readers,
	"Dormant":            readers,
	"Uses":               readers,
	"Usage":              readers,
	"GrantQuotas":        readers,
	"LastUses":           readers,
	"Named":              readers,
	"Reach":              readers,
	"Inventory":          readers,
	"InventoryEntry":     readers,

	// The platform.
	"Check":              staff | host | system,
	"Publish":            keepers | host | system,
	"EnsureEnvironments": host | system,
	"Revisions":          staff | host,
	"Revision":           staff | host,
	"Environments":       readers | system,
	"InForce":            readers,
	"Audit":              readers,
	"VerifyAudit":        staff | host,
	"Checkpoint":         readers,
	"Evidence":           readers,
	"Backup":             admin | host,
	"GivenUpLetters":     staff | host,

	// The fleet.
	"EnrolGateway":  keepers | host,
	"joinGateway":   system,
	"renewGateway":  system,
	"Fleet":         staff | host,
	"FleetRefusals": staff | host,
	"FleetChanges":  staff | host,
	"EndGateway":    keepers | host,
	"RotateAnchor":  keepers | host,
	"RaiseEpoch":    (keepers | inPerson) | host,
	"InForceAt":     staff | host,
	"GatewayImage":  keepers | host,
	"AddRegion":     keepers | host,
	"RemoveRegion":  keepers | host,

	// Webhooks.
	"AddWebhook":          builders | keepers | host,
	"Webhooks":            readers,
	"Webhook":             readers,
	"ChangeWebhook":       builders | keepers | host,
	"RotateWebhookSecret": builders | keepers | host,
	"DeadDeliveries":      readers,
	"ResendDelivery":      builders | keepers | host,

	// The drift review.
	"Drift":          operator | admin | auditor | host,
	"DriftRuns":      operator | admin | auditor | host | system,
	"ReviewDrift":    keepers | host | system,
	"UploadDrift":    keepers | host,
	"WaiveDrift":     keepers,
	"DriftWaivers":   operator | admin | auditor | host,
	"EndDriftWaiver": keepers,

	// What Gatehouse does by itself.
	"sendLetters":   system,
	"rotateIssuers": system,
	"deliver":       system,
	"notify":        system,
}

var byRole = map[identity.Role]who{
	identity.Owner: owner, identity.Developer: developer, identity.Viewer: viewer,
	identity.Admin: admin, identity.Approver: approver, identity.APIOwner: apiOwner, identity.Operator: operator, identity.Auditor: auditor,
}

// callers says which callers the actor is. A role of the wrong side counts for nothing, and so does one that is bound to a
// place: ask at the place, by Actor.At.
func callers(a identity.Actor) who {
	var side who
	switch a.Class {
	case identity.Member, identity.Machine, identity.Staff:
		if side = staff; ofPartner(a) {
			side = members
		}
		if a.Person == "" || a.Class == identity.Member && !ofPartner(a) || a.Class == identity.Staff && ofPartner(a) {
			return 0
		}
	case identity.Host:
		return host
	case identity.System:
		return system
	}
	var have who
	for _, r := range a.Roles {
		have |= byRole[r]
	}
	return have & side
}

// ofPartner reports whether the actor belongs to an organization, so that only that one's objects exist for them.
func ofPartner(a identity.Actor) bool { return a.Organization != "" }

// allow says whether the actor may call the method at all.
func allow(a identity.Actor, method string) error {
	want := rights[method]
	switch {
	case want&anybody != 0:
		return nil
	case a.Class == identity.Anonymous:
		return fault.New(fault.Unauthenticated, "sign in first")
	case want&inPerson != 0 && a.Class == identity.Machine:
		return fault.Of(fault.Forbidden, "in-person", "a machine token cannot do this: sign in yourself")
	case a.Unproven && want&unproven == 0:
		return fault.Of(fault.Forbidden, "second-factor-demanded", "your role demands a second factor: set one up in your account first")
	case a.Aged && want&lately != 0:
		return fault.Of(fault.Forbidden, "confirm-first", "you signed in a while ago: confirm first that it is you")
	case callers(a)&want == 0 && a.Class == identity.Host:
		return fault.New(fault.Forbidden, "the owner of the host may not do this without a name: sign in with 'gatehouse login' as somebody whose role allows it, or set GATEHOUSE_TOKEN to a machine token of theirs")
	case callers(a)&want == 0 && callers(somewhere(a, method))&want == 0:
		return fault.New(fault.Forbidden, "your role does not allow this")
	}
	return nil
}

// covers reports whether somebody with the roles may act with the wanted one: an admin with every role of staff, an owner
// with every role of members, a developer as a viewer, and whoever has a role everywhere with the same role at a place.
func covers(have []identity.Role, want identity.Role) bool {
	for _, h := range have {
		switch {
		case h == want, h == want.Bare(),
			h == identity.Admin && byRole[want.Bare()]&staff != 0,
			h == identity.Owner && byRole[want]&members != 0,
			h == identity.Developer && want == identity.Viewer:
			return true
		}
	}
	return false
}
