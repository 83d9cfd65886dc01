package adminapi

import "maps"

// word is what the document says of a property: of one of a schema, or (the key begins with a dot) of every one of that
// name that has no words of its own.
type word struct {
	text    string
	example any
	enum    []any
}

// anID is the part of examples of identifiers behind their kind.
const anID = "_01kas0v2m8c4y6n0q3r5t7w9xz"

func one(of ...any) []any { return of }

// words are the descriptions of what is answered. What is asked for is described beside its type.
func words() map[string]word {
	all := recordWords()
	for _, more := range []map[string]word{fleetWords(), reviewWords(), driftWords()} {
		maps.Copy(all, more)
	}
	return all
}

// recordWords are those of the records, and of every object.
func recordWords() map[string]word {
	return map[string]word{
		".items":        {text: "This page of the list"},
		".next":         {text: "Ask again with after set to this for the next page; not there on the last one", example: "gr" + anID},
		".id":           {text: "Its identifier"},
		".version":      {text: "Counts its changes; the ETag of the object", example: 3},
		".created":      {text: "When it was made"},
		".created_by":   {text: "Who made it", example: "per" + anID},
		".expires":      {text: "From this instant on it counts for nothing"},
		".organization": {text: "The organization that it belongs to", example: "org" + anID},
		".application":  {text: "The application that it is about", example: "app" + anID},
		".environment":  {text: "Where", example: "live"},
		".reason":       {text: "Why it stands as it does, in the words of whoever changed it last"},
		".name":         {text: "What it is called"},
		".title":        {text: "What it is called, for people"},
		".description":  {text: "In Markdown"},
		".product":      {text: "The product", example: "verification"},
		".plan":         {text: "The plan of the product", example: "standard"},
		".purpose":      {text: "What for, in the words of whoever asked"},
		".environments": {text: "Where it is offered", example: one("live", "test")},
		".method":       {text: "The HTTP method", example: "GET"},
		".roles":        {text: "What they may do", example: one("developer")},
		".until":        {text: "The end: it holds before this instant and not at it"},
		".digest":       {text: "SHA-256 over names and contents of its files", example: "sha256:9f86d081…"},
		".seq":          {text: "The number of the change in the feed of the environment", example: 42},
		".scopes":       {text: "Names of what is allowed", example: one("verifications:read")},
		".user_code":    {text: "What the person compares", example: "BCDF-GHJK"},
		".person":       {text: "Who it belongs to, and who answers for it", example: "per" + anID},

		"API.name":       {text: "Its name in the manifest", example: "eid"},
		"API.operations": {text: "Those of its operations that the product offers"},
		"API.path":       {text: "Where gateways expose it", example: "/eid/v1"},
		"API.version":    {text: "Of the OpenAPI document", example: "1.2.0"},

		"Application.closed": {text: "When it was closed for good"},
		"Application.owner":  {text: "The member who answers for it", example: "per" + anID},
		"Application.state":  {text: "A closed application never comes back", example: "active", enum: one("active", "closed")},

		"Invitation.accepted":  {text: "When it was accepted; not there before"},
		"Invitation.by":        {text: "Who invites", example: "per" + anID},
		"Invitation.email":     {text: "Where the link was sent", example: "dora@fjord-bank.example"},
		"Invitation.person":    {text: "Who they became; not there before", example: "per" + anID},
		"Invitation.standing":  {text: "How it stands now", example: "open", enum: one("open", "accepted", "withdrawn", "expired")},
		"Invitation.withdrawn": {text: "When it was withdrawn; not there before"},
		"Invited.email":        {text: "Whom it is for", example: "dora@fjord-bank.example"},
		"Invited.to":           {text: "The organization; not there for the platform's staff", example: "Fjord Bank"},

		"Delivery.at":          {text: "When it happened"},
		"Delivery.endpoint":    {text: "The webhook", example: "wh" + anID},
		"Delivery.given_up":    {text: "Whether it is no longer tried", example: true},
		"Delivery.id":          {text: "Its number", example: 17},
		"Delivery.message":     {text: "The webhook-id: the same at every try", example: "msg_0123456789abcdefghjkmnpqrstvwxyz"},
		"Delivery.problem":     {text: "What came of the last try", example: "the receiver answered 500"},
		"Delivery.tries":       {text: "How often it was tried", example: 10},
		"Delivery.type":        {text: "What happened", example: "grant.suspend"},
		"Endpoint.by":          {text: "Who added it", example: "per" + anID},
		"Endpoint.kinds":       {text: "What it is told of; none: everything", example: one("grant")},
		"Endpoint.old_until":   {text: "Until when the secret before this one signs too; not there without one"},
		"Endpoint.state":       {text: "Whether it is told", example: "active", enum: one("active", "paused", "ended")},
		"Endpoint.url":         {text: "Where events are posted", example: "https://fjord-bank.example/hooks/gatehouse"},
		"FreshWebhook.secret":  {text: "What its events are signed with; told once", example: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
		"FreshWebhook.webhook": {text: "The webhook"},

		"AuditEntry.action":     {text: "Noun and verb", example: "grant.suspend"},
		"AuditEntry.actor":      {text: "Who did it: class and identifier, never a name", example: "staff:per" + anID},
		"AuditEntry.after":      {text: "The object after the change, without personal values"},
		"AuditEntry.at":         {text: "When it was done"},
		"AuditEntry.before":     {text: "The object before the change; not there for what is new"},
		"AuditEntry.object":     {text: "What was changed", example: "gr" + anID},
		"AuditEntry.personal":   {text: "Personal values that belong to the entry. They stand outside the log, which holds their commitments only, and can be erased."},
		"AuditEntry.reason":     {text: "Why, in the words of whoever did it"},
		"AuditEntry.request_id": {text: "The HTTP request that it was part of"},
		"AuditEntry.seq":        {text: "Its place in the log, from 0; -1 until it is sealed, milliseconds after the commit", example: 128},

		"AuditProblem.entry": {text: "The entry's identifier", example: "aud" + anID},
		"AuditProblem.seq":   {text: "The entry's place; -1 when it is about the log as a whole", example: 128},
		"AuditProblem.text":  {text: "What does not hold"},

		"AuditReport.at":         {text: "When it was verified"},
		"AuditReport.checkpoint": {text: "The signed checkpoint that the log was compared with"},
		"AuditReport.entries":    {text: "How many sealed entries were read", example: 1024},
		"AuditReport.ok":         {text: "Whether everything holds", example: true},
		"AuditReport.problems":   {text: "What does not"},
		"AuditReport.root":       {text: "The root of the tree, in base64"},
		"AuditReport.unsealed":   {text: "How many entries wait to be sealed", example: 0},

		"Checked.diagnostics": {text: "Everything that is wrong, and warnings"},
		"Checked.ok":          {text: "Whether it could be published: warnings do not stop it", example: true},

		"Credential.grants":        {text: "Bound to these grants; none: it stands for all of the application's in the environment", example: one("gr" + anID)},
		"Credential.kind":          {text: "How it is presented", example: "api_key", enum: one("api_key", "oauth_client", "client_certificate", "workload_identity")},
		"Credential.live":          {text: "Whether it proves anything now", example: true},
		"Credential.public_id":     {text: "The part of a key that may be shown: it names the key in events and logs"},
		"Credential.retire_at":     {text: "When it retires, once it has been replaced"},
		"Credential.revoked":       {text: "When it was revoked"},
		"Credential.state":         {text: "That it has expired is no state: see standing", example: "active", enum: one("pending", "active", "suspended", "retiring", "revoked")},
		"Credential.standing":      {text: "How it stands now", example: "active", enum: one("pending", "active", "suspended", "retiring", "revoked", "expired")},
		"Credential.sources":       {text: "Networks from which it may be used; none: any", example: one("203.0.113.0/24")},
		"Credential.replaces":      {text: "The credential that retires for it", example: "crd" + anID},
		"Credential.earlier_until": {text: "Until when the secret that was replaced is taken too; not there when none is"},
		"Credential.leaked":        {text: "When somebody last reported to have found it"},
		"Credential.held":          {text: "The platform has suspended it: nobody else resumes it"},
		"Credential.last_use":      {text: "When it was last used, no older than a minute, with the count of all uses; not there when it never was"},

		"Credential.oauth": {text: "Of an OAuth client: how it proves itself"},

		"Credential.workload": {text: "Of a workload identity: whom it is bound to"},

		"Workload.issuer":   {text: "The iss of its tokens", example: "https://token.actions.githubusercontent.com"},
		"Workload.subject":  {text: "Who it is there: a client id of Entra ID, a service account of Kubernetes, else mostly the sub", example: "repo:example/service:ref:refs/heads/main"},
		"Workload.audience": {text: "What its tokens must be for", example: "https://api.platform.example"},
		"Workload.claims":   {text: "What its tokens must say beside"},

		"Credential.cert_name": {text: "Of a client certificate that is known by a name in it"},

		"CertName.authority": {text: "Whose certificates count, by its name in the manifest", example: "partners"},
		"CertName.kind":      {text: "The kind of the name", example: "uri", enum: one("dns", "uri", "ip", "email", "subject")},
		"CertName.value":     {text: "The name, whole: a wildcard stands for many and identifies nobody", example: "spiffe://example.org/service"},

		"Claim.name":  {text: "The claim", example: "ref"},
		"Claim.value": {text: "Its text, or one of its texts", example: "refs/heads/main"},

		"OAuth.constrain":  {text: "What its tokens are always bound to; not there: what it asks for each time", example: "dpop", enum: one("dpop", "certificate")},
		"OAuth.jwks":       {text: "Its public keys, as a JWK Set"},
		"OAuth.jwks_uri":   {text: "Where its public keys are"},
		"OAuth.method":     {text: "The method", example: "private_key_jwt", enum: one("client_secret", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth")},
		"OAuth.named":      {text: "Of tls_client_auth: by which name in certificates of which authority it is known"},
		"OAuth.thumbprint": {text: "The SHA-256 of its certificate's DER, in base64url"},

		"IssuedClient.client_id":     {text: "What it names itself with", example: "crd" + anID},
		"IssuedClient.client_secret": {text: "The secret. It is told now and never again; not there for other methods.", example: "ghc_live_…"},
		"IssuedClient.credential":    {text: "What can be told of it later"},
		"IssuedClient.issuer":        {text: "Whose token endpoint it asks: the metadata is found by this name", example: "https://gatehouse.platform.example/oauth/live"},

		"EnrolledCertificate.credential": {text: "The credential that it is"},

		"Issuer.audience": {text: "What the name of an API as a resource begins with; its path follows", example: "https://api.platform.example"},
		"Issuer.keys":     {text: "Its keys, oldest first; the last one is the next"},
		"Issuer.url":      {text: "The iss of its tokens", example: "https://gatehouse.platform.example/oauth/live"},

		"SigningKey.from": {text: "From when it signs, until the one after it does"},
		"SigningKey.kid":  {text: "Its name in tokens and in the JWK Set"},

		"Use.address":   {text: "The caller's, that time", example: "203.0.113.9"},
		"Use.api":       {text: "Which API was called", example: "eid"},
		"Use.count":     {text: "How many calls", example: 42},
		"Use.gateway":   {text: "The gateway that was called", example: "local-live"},
		"Use.grant":     {text: "The grant that the calls were made under; not there where none was found or needed", example: "gr" + anID},
		"Use.last":      {text: "When last"},
		"Use.operation": {text: "Which operation was called", example: "startVerification"},

		"Rotated.credential": {text: "The new credential"},
		"Rotated.replaced":   {text: "The old one, which retires"},
		"Rotated.key":        {text: "The new key. It is told now and never again.", example: "gh_live_…"},

		"Absence.ended":    {text: "When it was called off"},
		"Absence.from":     {text: "When it begins"},
		"Absence.person":   {text: "Who is absent", example: "per" + anID},
		"Absence.stand_in": {text: "Who decides in their place", example: "per" + anID},

		"Basis.data_class":   {text: "The class of data that the product opens", example: "personal"},
		"Basis.operations":   {text: "What the scopes opened, as API and operation", example: one("eid/getResult")},
		"Basis.organization": {text: "How the organization stood", example: "verified"},
		"Basis.revision":     {text: "The revision of the manifest that was in force", example: 3},
		"Basis.standing":     {text: "What the application held there already", example: one("gr" + anID)},
		"Basis.verified":     {text: "When the organization had been verified"},

		"Decision.basis":   {text: "The facts that it was taken on"},
		"Decision.for":     {text: "The absent person whose stand-in decided", example: "per" + anID},
		"Decision.plan":    {text: "A lower plan than was asked for", example: "standard"},
		"Decision.approve": {text: "true: approved; false: refused", example: true},
		"Decision.at":      {text: "When"},
		"Decision.by":      {text: "The approver, or plan when the plan approves by itself", example: "per" + anID},
		"Decision.reason":  {text: "The approver's word to the partner"},
		"Decision.stage":   {text: "Which stage of the approval route it answers, from 0", example: 0},

		"Device.client":  {text: "What asks", example: "gatehouse on build-7"},
		"Device.created": {text: "When it asked"},
		"Device.expires": {text: "Until when it waits"},

		"DeviceStart.device_code": {text: "Ask for the token with this; a secret"},
		"DeviceStart.expires":     {text: "Until when it waits"},
		"DeviceStart.interval":    {text: "Seconds between two polls", example: 2},
		"DeviceStart.url":         {text: "Where the person compares the code and allows it"},

		"Gateway.state": {text: "active, drained or revoked", example: "revoked"},
		"Gateway.key":   {text: "SHA-256 of its public key, in hexadecimal", example: "5f0ff327053a916b44130dd32f9f27d3863b4a1f652adcf96018357265e8bb4b"},
		"Gateway.ended": {text: "When it was drained or revoked"},
		"Anchor.number": {text: "Counts from 1", example: 2},
		"Anchor.made":   {text: "When it was made"},
		"Anchor.signs":  {text: "From when it signs"},
		"Anchor.ends":   {text: "When it ends; none: it goes on"},

		"Evidence.checkpoint": {text: "The signed checkpoint to which every proof leads"},
		"Evidence.entries":    {text: "The entries, in the order of the log"},
		"Evidence.format":     {text: "The version of this form", example: 1},
		"Evidence.made":       {text: "When it was exported"},
		"Evidence.object":     {text: "What it is about", example: "gr" + anID},
		"Evidence.verifier":   {text: "The key that verifies the checkpoint; compare it with the one that you trust", example: "gatehouse+1a2b3c4d+AZ…"},
		"EndedObject.digest":  {text: "Of that change in the feed"},
		"EndedObject.state":   {text: "How it stands", example: "revoked"},
		"EndedObject.seq":     {text: "The change in the feed of the environment by which gateways know; 0: it has no number yet", example: 42},

		"OffboardedAt.reach":    {text: "Operations that its applications can still call, by the view that gateways enforce", example: 0},
		"OffboardedAt.receipts": {text: "What each gateway said last; for staff"},
		"OffboardedAt.waiting":  {text: "Gateways that have not said so yet"},

		"Offboarding.applications": {text: "How many applications it had", example: 3},
		"Offboarding.ended":        {text: "Every grant and credential that it ever had"},
		"Offboarding.gateways":     {text: "By environment: what the gateways have said"},
		"Offboarding.organization": {text: "Whose end it is"},
		"Offboarding.waits":        {text: "For what it waits, in words; not there once it is complete"},

		"Proven.leaf":     {text: "The entry as the log holds it, byte for byte: JSON as a string"},
		"Proven.personal": {text: "Personal values that the entry commits to; erased ones and those of others without value"},
		"Proven.seq":      {text: "The entry's place in the log", example: 128},
		"Proven.proof":    {text: "The hashes that lead from its leaf to the root, in base64"},

		"FeedPosition.digest": {text: "Of the entry there; each holds that of the one before it"},
		"FeedPosition.epoch":  {text: "The epoch of the feed", example: 1},

		"Finding.detail":  {text: "What is wrong with the request", example: "must be given"},
		"Finding.file":    {text: "The file of the manifest", example: "gatehouse.yaml"},
		"Finding.line":    {text: "The line in it", example: 12},
		"Finding.pointer": {text: "Where, as a JSON pointer (RFC 6901) into the input or the file", example: "/purpose"},
		"Finding.text":    {text: "What is wrong with the manifest", example: "there is no upstream eit, did you mean eid?"},

		"FreshToken.machine_token": {text: "What can be told of it later"},
		"FreshToken.token":         {text: "The token. It is told now and never again.", example: "ghm_0123456789abcdefghjkmnpqrstvwxyz"},

		"Offboarding.run":       {text: "What gateways were asked for", example: "off" + anID},
		"Offboarding.canaries":  {text: "Credentials that were issued before the end, of each kind that the organization had: gateways let them in before, and refuse them after it"},
		"Offboarding.unshown":   {text: "By environment/gateway: why it did not show before the end that it let the canaries in"},
		"Offboarding.notes":     {text: "What the proof does not show, in words"},
		"EndedObject.kind":      {text: "Of a credential", example: "api_key"},
		"EndedObject.mark":      {text: "Of a credential: by which gateways look it up; no secret"},
		"OffboardedAt.counted":  {text: "The gateways that must have it in force; for staff"},
		"OffboardedAt.unserved": {text: "No gateway serves there: nobody can say or swear anything", example: false},
		"OffboardedAt.before":   {text: "What gateways swore before the end: that they let the canaries in; for staff"},
		"OffboardedAt.sworn":    {text: "What gateways swear since: that they refuse each credential; for staff"},
		"Canary.credential":     {text: "The canary; none: see why", example: "crd" + anID},
		"Canary.kind":           {text: "Of what kind", example: "api_key"},
		"Canary.mark":           {text: "By which gateways look it up; no secret"},
		"Canary.seq":            {text: "The change by which gateways knew it; 0: it had no number in time", example: 17},
		"Canary.why":            {text: "Why there is none, or none was let in"},
		"Sworn.answer":          {text: "The JSON text that was signed, byte for byte"},
		"Sworn.key":             {text: "The public key of the gateway, as PKIX"},
		"Sworn.signature":       {text: "Over the words gatehouse probe answer, a line feed, and the answer"},
		"Grant.approved_by":     {text: "Who approved it, in the order of their decisions; nobody when the plan approves by itself", example: one("per" + anID)},
		"Grant.emergency":       {text: "Short, approved by two, told to many", example: false},
		"Grant.reviewed":        {text: "When somebody last confirmed in a review that it is still needed"},
		"Grant.reviewed_by":     {text: "Who did", example: "per" + anID},
		"Grant.scopes_since":    {text: "When those scopes were approved that the grant did not begin with"},
		"Grant.ended":           {text: "When it was ended, if it was before its end"},
		"Grant.from":            {text: "The start"},
		"Grant.request":         {text: "The access request that it came from", example: "req" + anID},
		"Grant.standing":        {text: "How it stands now", example: "active", enum: one("upcoming", "active", "suspended", "expired", "ended")},
		"Grant.state":           {text: "What was decided about it; that its time has run out is no state: see standing", example: "active", enum: one("active", "suspended", "ended")},

		"Plan.quotas":       {text: "Requests of a grant in a day or month of UTC, at all gateways together"},
		"Issued.credential": {text: "What can be told of it later"},
		"Issued.key":        {text: "The key. It is told now and never again.", example: "gh_live_…"},

		"Limit.burst":    {text: "How many may come at once after a pause", example: 20},
		"Limit.name":     {text: "As the RateLimit fields name it", example: "second"},
		"Limit.per":      {text: "The window", example: "1s"},
		"Limit.requests": {text: "How many in the long run", example: 10},

		"InitialToken.uses":     {text: "How many clients it has registered", example: 0},
		"InitialToken.most":     {text: "How many it registers at most", example: 1},
		"InitialToken.ended":    {text: "When somebody ended it; not there before"},
		"InitialToken.standing": {text: "How it stands now", example: "open", enum: one("open", "used", "ended", "expired")},

		"FreshInitialToken.token":                 {text: "Register with this: it is shown once", example: "ghr_…"},
		"FreshInitialToken.initial_token":         {text: "What can be told of it later"},
		"FreshInitialToken.registration_endpoint": {text: "Where clients are registered", example: "https://portal.example/oauth/live/register"},

		"MachineToken.revoked": {text: "When it was revoked"},

		"Me.class":   {text: "What you are", example: "member", enum: one("member", "staff", "machine", "host")},
		"Me.email":   {text: "Your e-mail address"},
		"Me.session": {text: "The session that you use, if it is one", example: "ses" + anID},

		"Operation.anonymous":  {text: "Open to anybody", example: false},
		"Operation.deprecated": {text: "Better not begun with", example: false},
		"Operation.id":         {text: "The operationId in the OpenAPI document", example: "startVerification"},
		"Operation.path":       {text: "As it is called at the gateway", example: "/eid/v1/verifications"},
		"Operation.summary":    {text: "In a line", example: "Start a verification"},

		"Organization.country":     {text: "Where it is registered (ISO 3166-1 alpha-2)", example: "NO"},
		"Organization.register":    {text: "Its number in a public register of companies", example: "914778271"},
		"Organization.state":       {text: "Registered ones are granted nothing yet; nothing of a suspended one passes a gateway", example: "verified", enum: one("registered", "verified", "suspended", "offboarding", "offboarded")},
		"Organization.verified":    {text: "When staff verified it"},
		"Organization.verified_by": {text: "Who did", example: "per" + anID},
		"Organization.website":     {text: "Its public address", example: "https://fjord-bank.example"},

		"Person.email": {text: "Their e-mail address", example: "ines@fjord-bank.example"},
		"Person.state": {text: "Unconfirmed until the address is proven", example: "active", enum: one("unconfirmed", "active", "disabled", "erased")},

		"PersonalData.at":             {text: "When it was gathered"},
		"PersonalData.person":         {text: "The person"},
		"PersonalData.has_password":   {text: "Whether a password is set", example: true},
		"PersonalData.organization":   {text: "Of a member"},
		"PersonalData.second_factors": {text: "What they prove themselves with besides"},
		"PersonalData.sign_ons":       {text: "By which providers they sign in"},
		"PersonalData.passkeys":       {text: "Their passkeys"},
		"PersonalData.sessions":       {text: "Where they are signed in"},
		"PersonalData.machine_tokens": {text: "What acts for them"},
		"PersonalData.invitations":    {text: "Invitations to their address"},
		"PersonalData.applications":   {text: "What they answer for"},
		"PersonalData.absences":       {text: "Their absences, and those in which they stand in"},
		"PersonalData.audit":          {text: "What they did and what was done about them, newest first"},
		"PersonalData.more":           {text: "Whether there are more audit entries than an export holds (50,000)", example: false},

		"SentInvitation.accepted":  {text: "When it was accepted; not there before"},
		"SentInvitation.by":        {text: "Who invites", example: "per" + anID},
		"SentInvitation.email":     {text: "Where the link was sent", example: "dora@fjord-bank.example"},
		"SentInvitation.person":    {text: "Who they became; not there before", example: "per" + anID},
		"SentInvitation.withdrawn": {text: "When it was withdrawn; not there before"},

		"Personal.commitment": {text: "SHA-256 of salt and value, which the log holds"},
		"Personal.name":       {text: "What it is", example: "actor.name"},
		"Personal.salt":       {text: "Gone once it is erased"},
		"Personal.value":      {text: "Gone once it is erased"},

		"Plan.automatic":          {text: "Approved at once for a verified organization", example: false},
		"Plan.credential_longest": {text: "The longest that a credential may last", example: "90d"},
		"Plan.credentials":        {text: "Kinds of credentials that may be used", example: one("api_key")},
		"Plan.limits":             {text: "How much may be called; each applies"},
		"Plan.longest":            {text: "The longest that a grant may last", example: "365d"},
		"Plan.stages":             {text: "The approval route"},

		"Problem.detail":     {text: "What it is about this time"},
		"Problem.errors":     {text: "Everything that is wrong with the input"},
		"Problem.instance":   {text: "The path that was asked"},
		"Problem.request_id": {text: "Finds the request in logs and audit", example: "req-kx3v6m2a5q7t4w6y3b5d7f2h4j"},
		"Problem.rule":       {text: "The rule that refused"},
		"Problem.status":     {text: "The HTTP status", example: 409},
		"Problem.title":      {text: "The kind of problem in words", example: "Organization not verified"},
		"Problem.type":       {text: "The kind of problem: stable, and the address of its explanation at the portal", example: "/problems/organization-not-verified"},

		"Product.addresses": {text: "By environment: the address that partners call", example: map[string]string{"live": "https://api.platform.example"}},
		"Product.apis":      {text: "Its operations, by API; empty in a list"},
		"Product.owner":     {text: "The team that answers for it"},
		"Product.plans":     {text: "The terms under which it is offered"},
		"Product.scopes":    {text: "Each scope that can be asked for, with what it allows"},

		"Published.diagnostics": {text: "Warnings"},
		"Published.revision":    {text: "The newest revision now"},
		"Published.unchanged":   {text: "It was the newest already, and none was made", example: false},

		"Question.answer":      {text: "The answer, once there is one"},
		"Question.answered":    {text: "When it was answered"},
		"Question.answered_by": {text: "Who answered", example: "per" + anID},
		"Question.at":          {text: "When it was asked"},
		"Question.by":          {text: "Who asked", example: "per" + anID},
		"Question.text":        {text: "The question"},

		"Ruling.error":  {text: "Why a rule could not be asked: then people decide"},
		"Ruling.reason": {text: "The rule's word to the partner"},
		"Ruling.rule":   {text: "The rule that spoke; not there when none did", example: "small"},
		"Ruling.then":   {text: "What it says", example: "people", enum: one("approve", "refuse", "people")},

		"Reach.application": {text: "Of which application"},
		"Reach.at":          {text: "For this instant"},
		"Reach.operations":  {text: "What it can call"},
		"Reach.seq":         {text: "By environment: the number of the last change that was in force"},

		"Reachable.api":         {text: "The API", example: "eid"},
		"Reachable.closed":      {text: "Why the route answers 503 although the grant holds"},
		"Reachable.credentials": {text: "Live credentials with which it can be called", example: one("crd" + anID)},
		"Reachable.grant":       {text: "By which grant; not there for an operation that is open to anybody", example: "gr" + anID},
		"Reachable.operation":   {text: "The operationId", example: "getResult"},
		"Reachable.path":        {text: "As it is called at the gateway", example: "/eid/v1/verifications/{verificationId}/result"},
		"Reachable.scopes":      {text: "What the operation needs", example: one("verifications:read")},
		"Reachable.windows":     {text: "The limits that apply"},

		"Request.by":                {text: "Who asked", example: "per" + anID},
		"Request.decisions":         {text: "The answers so far"},
		"Request.duration":          {text: "For how long, from the last decision on", example: "90d"},
		"Request.sort":              {text: "A renewal or growth of a grant, or emergency access; not there for a new grant", example: "renewal", enum: one("renewal", "growth", "emergency")},
		"Request.of":                {text: "The grant that it is about", example: "gr" + anID},
		"Request.questions":         {text: "Questions of approvers, with their answers"},
		"Request.rule":              {text: "What the plan's rules said"},
		"Credential.key_thumbprint": {text: "Of a certificate: the thumbprint of its key (RFC 7638)"},
		"OffboardedAt.keys":         {text: "Of gateways that enrolled: the SHA-256 of the key that each signs with"},
		"Credential.secret_since":   {text: "When a client's secret was last replaced; not there before"},

		"Named.state":        {text: "How it stands; not there when it is not known any more"},
		"Callable.api":       {text: "The API", example: "eid"},
		"Callable.closed":    {text: "Why it answers 503 although the right holds; not there else"},
		"Callable.grant":     {text: "By which grant; not there for what needs none", example: "gr" + anID},
		"Callable.operation": {text: "The operation", example: "listVerifications"},
		"Callable.path":      {text: "As it is called at the gateway", example: "/eid/v1/verifications"},
		"Fact.value":         {text: "What it is"},
		"Risk.rules":         {text: "The rules that look for it"},
		"Risk.says":          {text: "What is looked at, and what is not recorded"},
		"Risk.seen":          {text: "How much of it the records can show", example: "partly", enum: one("yes", "partly", "no")},

		"Request.since":     {text: "When what waits now began to wait"},
		"Request.reminded":  {text: "Whoever it waits for has been reminded", example: false},
		"Request.escalated": {text: "The stage's stand-in may decide as well", example: false},
		"Request.grant":     {text: "The grant that it became", example: "gr" + anID},
		"Request.stages":    {text: "The plan's approval route, as it was when the request was made"},
		"Request.state":     {text: "Only an open one can be decided or withdrawn", example: "open", enum: one("open", "approved", "refused", "withdrawn", "lapsed")},

		"SecondFactors.app":      {text: "Whether there is an authenticator app", example: true},
		"SecondFactors.codes":    {text: "How many recovery codes are left", example: 10},
		"SecondFactors.demanded": {text: "Whether one of their roles demands a second factor", example: false},
		"SecondFactors.passkeys": {text: "How many passkeys sign in by themselves", example: 1},
		"SecondFactors.since":    {text: "When the app was set up; not there without one"},

		"Passkey.used":     {text: "When it last signed in; not there before"},
		"SignOn.name":      {text: "Its name in addresses", example: "directory"},
		"SignOn.title":     {text: "What it is called, for people", example: "Platform directory"},
		"Subject.issuer":   {text: "The provider", example: "https://login.platform.example"},
		"Subject.subject":  {text: "What it knows you by"},
		"Subject.provider": {text: "Its name in addresses", example: "directory"},
		"Subject.roles":    {text: "Roles that its groups give, and take away", example: one("approver")},
		"Subject.used":     {text: "When it last signed you in"},

		"Session.address":    {text: "Where it was begun"},
		"Session.confirmed":  {text: "When its person last showed that it is still them"},
		"Session.how":        {text: "How they signed in", example: "password and app"},
		"Session.proven":     {text: "When the second factor was shown; not there when none was"},
		"Session.last_seen":  {text: "When it was last used, to the minute"},
		"Session.user_agent": {text: "With which program"},

		"SignedIn.pending": {text: "There instead of the others while the second factor is missing: send it to proveSecondFactor with a code, within ten minutes", example: "ghp_0123456789abcdefghjkmnpqrstvwxyz"},
		"SignedIn.person":  {text: "Who you are"},
		"SignedIn.session": {text: "What can be told of it later"},
		"SignedIn.token":   {text: "The session's token. It is told now and never again.", example: "ghs_0123456789abcdefghjkmnpqrstvwxyz"},

		"Stage.count":          {text: "How many people must approve", example: 1},
		"Stage.stand_in":       {text: "The role that may decide as well once the time has passed", example: "operator"},
		"Stage.within_seconds": {text: "How long it waits before it is escalated or lapses; not there: for ever", example: 259200},
		"Stage.role":           {text: "The role of staff that approves", example: "approver"},

		"Window.burst":    {text: "How many may come at once after a pause", example: 20},
		"Window.name":     {text: "As the RateLimit fields name it", example: "second"},
		"Window.requests": {text: "How many in the long run", example: 10},
		"Window.seconds":  {text: "Of the window", example: 1},
	}
}
