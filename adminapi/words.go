package adminapi

// word is what the document says of a property: of one of a schema, or (the key begins with a dot) of every one of that
// name that has no words of its own.
type word struct {
	text    string
	example any
	enum    []any
}

func one(of ...any) []any { return of }

// words are the descriptions of what is answered. What is asked for is described beside its type.
func words() map[string]word {
	const id = "_01kas0v2m8c4y6n0q3r5t7w9xz"
	return map[string]word{
		".items":        {text: "This page of the list"},
		".next":         {text: "Ask again with after set to this for the next page; not there on the last one", example: "gr" + id},
		".id":           {text: "Its identifier"},
		".version":      {text: "Counts its changes; the ETag of the object", example: 3},
		".created":      {text: "When it was made"},
		".created_by":   {text: "Who made it", example: "per" + id},
		".expires":      {text: "From this instant on it counts for nothing"},
		".organization": {text: "The organization that it belongs to", example: "org" + id},
		".application":  {text: "The application that it is about", example: "app" + id},
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
		".person":       {text: "Who it belongs to, and who answers for it", example: "per" + id},

		"API.name":       {text: "Its name in the manifest", example: "eid"},
		"API.operations": {text: "Those of its operations that the product offers"},
		"API.path":       {text: "Where gateways expose it", example: "/eid/v1"},
		"API.version":    {text: "Of the OpenAPI document", example: "1.2.0"},

		"Application.closed": {text: "When it was closed for good"},
		"Application.owner":  {text: "The member who answers for it", example: "per" + id},
		"Application.state":  {text: "A closed application never comes back", example: "active", enum: one("active", "closed")},

		"Invitation.accepted":  {text: "When it was accepted; not there before"},
		"Invitation.by":        {text: "Who invites", example: "per" + id},
		"Invitation.email":     {text: "Where the link was sent", example: "dora@fjord-bank.example"},
		"Invitation.person":    {text: "Who they became; not there before", example: "per" + id},
		"Invitation.standing":  {text: "How it stands now", example: "open", enum: one("open", "accepted", "withdrawn", "expired")},
		"Invitation.withdrawn": {text: "When it was withdrawn; not there before"},
		"Invited.email":        {text: "Whom it is for", example: "dora@fjord-bank.example"},
		"Invited.to":           {text: "The organization; not there for the platform's staff", example: "Fjord Bank"},

		"AuditEntry.action":     {text: "Noun and verb", example: "grant.suspend"},
		"AuditEntry.actor":      {text: "Who did it: class and identifier, never a name", example: "staff:per" + id},
		"AuditEntry.after":      {text: "The object after the change, without personal values"},
		"AuditEntry.at":         {text: "When it was done"},
		"AuditEntry.before":     {text: "The object before the change; not there for what is new"},
		"AuditEntry.object":     {text: "What was changed", example: "gr" + id},
		"AuditEntry.personal":   {text: "Personal values that belong to the entry. They stand outside the log, which holds their commitments only, and can be erased."},
		"AuditEntry.reason":     {text: "Why, in the words of whoever did it"},
		"AuditEntry.request_id": {text: "The HTTP request that it was part of"},
		"AuditEntry.seq":        {text: "Its place in the log, from 0; -1 until it is sealed, milliseconds after the commit", example: 128},

		"AuditProblem.entry": {text: "The entry's identifier", example: "aud" + id},
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

		"Credential.grants":    {text: "Bound to these grants; none: it stands for all of the application's in the environment", example: one("gr" + id)},
		"Credential.kind":      {text: "How it is presented", example: "api_key", enum: one("api_key")},
		"Credential.live":      {text: "Whether it proves anything now", example: true},
		"Credential.public_id": {text: "The part of a key that may be shown: it names the key in events and logs"},
		"Credential.retire_at": {text: "When it retires, once it has been replaced"},
		"Credential.revoked":   {text: "When it was revoked"},
		"Credential.state":     {text: "That it has expired is no state: see standing", example: "active", enum: one("pending", "active", "suspended", "retiring", "revoked")},
		"Credential.standing":  {text: "How it stands now", example: "active", enum: one("pending", "active", "suspended", "retiring", "revoked", "expired")},
		"Credential.sources":   {text: "Networks from which it may be used; none: any", example: one("203.0.113.0/24")},
		"Credential.replaces":  {text: "The credential that retires for it", example: "crd" + id},
		"Credential.leaked":    {text: "When somebody last reported to have found it"},
		"Credential.held":      {text: "The platform has suspended it: nobody else resumes it"},
		"Credential.last_use":  {text: "When it was last used, no older than a minute, with the count of all uses; not there when it never was"},

		"Use.address":   {text: "The caller's, that time", example: "203.0.113.9"},
		"Use.api":       {text: "Which API was called", example: "eid"},
		"Use.count":     {text: "How many calls", example: 42},
		"Use.gateway":   {text: "The gateway that was called", example: "local-live"},
		"Use.grant":     {text: "The grant that the calls were made under; not there where none was found or needed", example: "gr" + id},
		"Use.last":      {text: "When last"},
		"Use.operation": {text: "Which operation was called", example: "startVerification"},

		"Rotated.credential": {text: "The new credential"},
		"Rotated.replaced":   {text: "The old one, which retires"},
		"Rotated.key":        {text: "The new key. It is told now and never again.", example: "gh_live_…"},

		"Decision.approve": {text: "true: approved; false: refused", example: true},
		"Decision.at":      {text: "When"},
		"Decision.by":      {text: "The approver, or plan when the plan approves by itself", example: "per" + id},
		"Decision.reason":  {text: "The approver's word to the partner"},
		"Decision.stage":   {text: "Which stage of the approval route it answers, from 0", example: 0},

		"Device.client":  {text: "What asks", example: "gatehouse on build-7"},
		"Device.created": {text: "When it asked"},
		"Device.expires": {text: "Until when it waits"},

		"DeviceStart.device_code": {text: "Ask for the token with this; a secret"},
		"DeviceStart.expires":     {text: "Until when it waits"},
		"DeviceStart.interval":    {text: "Seconds between two polls", example: 2},
		"DeviceStart.url":         {text: "Where the person compares the code and allows it"},

		"Diagnostic.file":    {text: "Relative to the manifest's folder", example: "gatehouse.yaml"},
		"Diagnostic.line":    {text: "From 1; not there when it is about no line", example: 12},
		"Diagnostic.pointer": {text: "Into the file, as RFC 6901", example: "/apis/0/upstream"},
		"Diagnostic.text":    {text: "What is wrong", example: "there is no upstream eit, did you mean eid?"},
		"Diagnostic.warning": {text: "It does not stop a publish"},

		"Environment.epoch":    {text: "Which life of the feed this is: raised after a restore from a backup, so that nothing revoked comes back", example: 1},
		"Environment.gateways": {text: "What each gateway said last; for staff"},
		"Environment.head":     {text: "Where the feed ends"},
		"Environment.order":    {text: "Its place among the environments", example: 1},
		"Environment.revision": {text: "The number of the newest published revision; 0: none", example: 3},
		"Environment.url":      {text: "The address that partners call", example: "https://api.platform.example"},

		"Facts.application":  {text: "Which application asks"},
		"Facts.history":      {text: "Earlier requests of the organization, newest first, ten at most"},
		"Facts.latest_end":   {text: "The latest end that may be approved now"},
		"Facts.may_decide":   {text: "Whether you may decide now", example: true},
		"Facts.operations":   {text: "What the requested scopes would open"},
		"Facts.organization": {text: "Whose application it is"},
		"Facts.owner":        {text: "Who answers for the application"},
		"Facts.plan":         {text: "The plan, as it is now"},
		"Facts.product":      {text: "The product, as it is now"},
		"Facts.request":      {text: "What is asked for"},
		"Facts.requester":    {text: "Who asks"},
		"Facts.standing":     {text: "What the application holds in that environment already"},
		"Facts.why_not":      {text: "Why you may not decide", example: "nobody decides on their own request"},

		"FeedPosition.digest": {text: "Of the entry there; each holds that of the one before it"},
		"FeedPosition.epoch":  {text: "The epoch of the feed", example: 1},

		"Finding.detail":  {text: "What is wrong with the request", example: "must be given"},
		"Finding.file":    {text: "The file of the manifest", example: "gatehouse.yaml"},
		"Finding.line":    {text: "The line in it", example: 12},
		"Finding.pointer": {text: "Where, as a JSON pointer (RFC 6901) into the input or the file", example: "/purpose"},
		"Finding.text":    {text: "What is wrong with the manifest", example: "there is no upstream eit, did you mean eid?"},

		"FreshToken.machine_token": {text: "What can be told of it later"},
		"FreshToken.token":         {text: "The token. It is told now and never again.", example: "ghm_0123456789abcdefghjkmnpqrstvwxyz"},

		"FullRevision.files": {text: "The path of each file, and its content in base64"},

		"GatewayReceipt.at":       {text: "When it said so"},
		"GatewayReceipt.desired":  {text: "The newest revision that has arrived; another than revision when it cannot be served", example: 3},
		"GatewayReceipt.gateway":  {text: "Which gateway", example: "live-1"},
		"GatewayReceipt.position": {text: "Every change up to here is in force"},
		"GatewayReceipt.revision": {text: "The revision that it serves", example: 3},
		"GatewayReceipt.trouble":  {text: "What keeps it from serving the newest"},

		"Grant.approved_by": {text: "Who approved it, in the order of their decisions; nobody when the plan approves by itself", example: one("per" + id)},
		"Grant.ended":       {text: "When it was ended, if it was before its end"},
		"Grant.from":        {text: "The start"},
		"Grant.request":     {text: "The access request that it came from", example: "req" + id},
		"Grant.standing":    {text: "How it stands now", example: "active", enum: one("upcoming", "active", "suspended", "expired", "ended")},
		"Grant.state":       {text: "What was decided about it; that its time has run out is no state: see standing", example: "active", enum: one("active", "suspended", "ended")},

		"InForce.committed": {text: "When the change was committed"},
		"InForce.done":      {text: "On how many gateways it is in force", example: 2},
		"InForce.gateways":  {text: "How many gateways serve there", example: 2},
		"InForce.last_ms":   {text: "Milliseconds from the commit to the last receipt so far", example: 8.4},
		"InForce.seq":       {text: "The number of the change in the feed; 0 while it has none yet", example: 42},
		"InForce.waiting":   {text: "Gateways that have not said so yet"},

		"Issued.credential": {text: "What can be told of it later"},
		"Issued.key":        {text: "The key. It is told now and never again.", example: "gh_live_…"},

		"Limit.burst":    {text: "How many may come at once after a pause", example: 20},
		"Limit.name":     {text: "As the RateLimit fields name it", example: "second"},
		"Limit.per":      {text: "The window", example: "1s"},
		"Limit.requests": {text: "How many in the long run", example: 10},

		"MachineToken.revoked": {text: "When it was revoked"},

		"Me.class":   {text: "What you are", example: "member", enum: one("member", "staff", "machine", "host")},
		"Me.email":   {text: "Your e-mail address"},
		"Me.session": {text: "The session that you use, if it is one", example: "ses" + id},

		"Operation.anonymous":  {text: "Open to anybody", example: false},
		"Operation.deprecated": {text: "Better not begun with", example: false},
		"Operation.id":         {text: "The operationId in the OpenAPI document", example: "startVerification"},
		"Operation.path":       {text: "As it is called at the gateway", example: "/eid/v1/verifications"},
		"Operation.summary":    {text: "In a line", example: "Start a verification"},

		"Organization.country":     {text: "Where it is registered (ISO 3166-1 alpha-2)", example: "NO"},
		"Organization.register":    {text: "Its number in a public register of companies", example: "914778271"},
		"Organization.state":       {text: "Registered ones are granted nothing yet; nothing of a suspended one passes a gateway", example: "verified", enum: one("registered", "verified", "suspended", "offboarded")},
		"Organization.verified":    {text: "When staff verified it"},
		"Organization.verified_by": {text: "Who did", example: "per" + id},
		"Organization.website":     {text: "Its public address", example: "https://fjord-bank.example"},

		"Person.email": {text: "Their e-mail address", example: "ines@fjord-bank.example"},
		"Person.state": {text: "Unconfirmed until the address is proven", example: "active", enum: one("unconfirmed", "active", "disabled")},

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

		"Reach.application": {text: "Of which application"},
		"Reach.at":          {text: "For this instant"},
		"Reach.operations":  {text: "What it can call"},
		"Reach.seq":         {text: "By environment: the number of the last change that was in force"},

		"Reachable.api":         {text: "The API", example: "eid"},
		"Reachable.closed":      {text: "Why the route answers 503 although the grant holds"},
		"Reachable.credentials": {text: "Live credentials with which it can be called", example: one("crd" + id)},
		"Reachable.grant":       {text: "By which grant; not there for an operation that is open to anybody", example: "gr" + id},
		"Reachable.operation":   {text: "The operationId", example: "getResult"},
		"Reachable.path":        {text: "As it is called at the gateway", example: "/eid/v1/verifications/{verificationId}/result"},
		"Reachable.scopes":      {text: "What the operation needs", example: one("verifications:read")},
		"Reachable.windows":     {text: "The limits that apply"},

		"Request.by":        {text: "Who asked", example: "per" + id},
		"Request.decisions": {text: "The answers so far"},
		"Request.duration":  {text: "For how long, from the last decision on", example: "90d"},
		"Request.grant":     {text: "The grant that it became", example: "gr" + id},
		"Request.stages":    {text: "The plan's approval route, as it was when the request was made"},
		"Request.state":     {text: "Only an open one can be decided or withdrawn", example: "open", enum: one("open", "approved", "refused", "withdrawn")},

		"Revision.at":         {text: "When it was published"},
		"Revision.by":         {text: "Who published it; not there when Gatehouse did at its start", example: "per" + id},
		"Revision.note":       {text: "What changes and why"},
		"Revision.number":     {text: "Counts from 1 in each environment", example: 3},
		"FullRevision.at":     {text: "When it was published"},
		"FullRevision.by":     {text: "Who published it; not there when Gatehouse did at its start", example: "per" + id},
		"FullRevision.note":   {text: "What changes and why"},
		"FullRevision.number": {text: "Counts from 1 in each environment", example: 3},

		"Session.address":    {text: "Where it was begun"},
		"Session.last_seen":  {text: "When it was last used, to the minute"},
		"Session.user_agent": {text: "With which program"},

		"SignedIn.person":  {text: "Who you are"},
		"SignedIn.session": {text: "What can be told of it later"},
		"SignedIn.token":   {text: "The session's token. It is told now and never again.", example: "ghs_0123456789abcdefghjkmnpqrstvwxyz"},

		"Stage.count": {text: "How many people must approve", example: 1},
		"Stage.role":  {text: "The role of staff that approves", example: "approver"},

		"Window.burst":    {text: "How many may come at once after a pause", example: 20},
		"Window.name":     {text: "As the RateLimit fields name it", example: "second"},
		"Window.requests": {text: "How many in the long run", example: 10},
		"Window.seconds":  {text: "Of the window", example: 1},
	}
}
