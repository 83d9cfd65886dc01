package portal

// routes is the one list of pages.
func routes() []route {
	const get, post = "GET", "POST"
	return []route{
		{get, "/{$}", anybody, home},
		{get, "/assets/{file}", anybody, serveAsset},
		{get, "/favicon.ico", anybody, favicon},
		{get, "/robots.txt", anybody, robots},
		{post, "/theme", anybody, setTheme},
		{get, "/problems", anybody, listProblems},
		{get, "/problems/{code}", anybody, showProblem},
		{get, "/dev/mail", anybody, showLetters},

		{get, "/register", anybody, askRegistration},
		{post, "/register", anybody, register},
		{get, "/register/sent", anybody, registered},
		{get, "/confirm", anybody, askConfirmation},
		{post, "/confirm", anybody, confirm},
		{post, "/confirm/resend", anybody, resendConfirmation},
		{get, "/signin", anybody, askSignIn},
		{post, "/signin", anybody, signIn},
		{get, "/signin/link", anybody, askSignInLink},
		{post, "/signin/link", anybody, signInByLink},
		{post, "/signout", anybody, signOut},
		{get, "/password/forgot", anybody, askReset},
		{post, "/password/forgot", anybody, sendReset},
		{get, "/password/sent", anybody, resetSent},
		{get, "/password/reset", anybody, askNewPassword},
		{post, "/password/reset", anybody, setNewPassword},

		{get, "/catalogue", anybody, listProducts},
		{get, "/catalogue/{product}", anybody, showProduct},
		{get, "/catalogue/{product}/{api}", anybody, showReference},
		{get, "/openapi/{api}", anybody, downloadDocument},

		{get, "/dashboard", signedIn, dashboard},
		{get, "/applications", signedIn, listApplications},
		{get, "/applications/new", members, askApplication},
		{post, "/applications", members, createApplication},
		{get, "/applications/{id}", signedIn, showApplication},
		{get, "/applications/{id}/edit", members, askApplicationChange},
		{post, "/applications/{id}/edit", members, changeApplication},
		{get, "/applications/{id}/close", signedIn, askDeed},
		{post, "/applications/{id}/close", signedIn, doDeed},
		{get, "/applications/{id}/reach", signedIn, showReach},

		{get, "/requests", signedIn, listRequests},
		{get, "/requests/new", members, askAccess},
		{post, "/requests", members, requestAccess},
		{get, "/requests/{id}", signedIn, showRequest},
		{get, "/requests/{id}/withdraw", members, askDeed},
		{post, "/requests/{id}/withdraw", members, doDeed},
		{get, "/requests/{id}/decide", staff, askDecision},
		{post, "/requests/{id}/decide", staff, decide},
		{get, "/queue", staff, showQueue},

		{get, "/grants", signedIn, listGrants},
		{get, "/grants/{id}", signedIn, showGrant},
		{get, "/grants/{id}/{deed}", signedIn, askDeed},
		{post, "/grants/{id}/{deed}", signedIn, doDeed},

		{get, "/credentials", signedIn, listKeys},
		{get, "/credentials/new", members, askKey},
		{post, "/credentials", members, issueKey},
		{get, "/credentials/{id}", signedIn, showKey},
		{get, "/credentials/{id}/revoke", signedIn, askDeed},
		{post, "/credentials/{id}/revoke", signedIn, doDeed},

		{get, "/organization", members, showOwnOrganization},
		{get, "/organizations", staff, listOrganizations},
		{get, "/organizations/{id}", signedIn, showOrganization},
		{get, "/organizations/{id}/{deed}", staff, askDeed},
		{post, "/organizations/{id}/{deed}", staff, doDeed},

		{get, "/audit", signedIn, listAudit},
		{get, "/audit/verification", staff, askVerification},
		{post, "/audit/verification", staff, verifyAudit},
		{get, "/audit/{seq}", signedIn, showEntry},

		{get, "/environments", staff, listEnvironments},
		{get, "/environments/{env}", staff, showEnvironment},
		{get, "/environments/{env}/revisions/{number}", staff, showRevision},

		{get, "/people", staff, listPeople},
		{get, "/people/new", staff, askPerson},
		{post, "/people", staff, addPerson},
		{get, "/people/{id}", staff, askPersonChange},
		{post, "/people/{id}", staff, changePerson},

		{get, "/tokens", signedIn, listTokens},
		{get, "/tokens/new", signedIn, askToken},
		{post, "/tokens", signedIn, createToken},
		{get, "/tokens/{id}/revoke", signedIn, askDeed},
		{post, "/tokens/{id}/revoke", signedIn, doDeed},

		{get, "/device", signedIn, askDevice},
		{post, "/device", signedIn, decideDevice},
		{get, "/account", signedIn, showAccount},
		{post, "/account/password", signedIn, changePassword},
		{post, "/account/sessions/{id}/end", signedIn, endSession},
	}
}
