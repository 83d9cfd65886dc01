package portal

// peopleProblems are the problems of signing in by more than a password, and of leaving.
func peopleProblems() []explained {
	return []explained{
		{"second-factor-demanded", 403, "Your role demands a second factor, and you have none yet.", "Set up an authenticator app or a passkey on your account's page."},
		{"confirm-first", 403, "You signed in a while ago, and this matters too much to take that for granted.", "Confirm that it is you, then do it again."},
		{"sign-in-again", 409, "You have neither a second factor nor a password by which you could confirm that it is you.", "Sign in again."},
		{"sign-in-over", 410, "The sign-in took too long, or was finished already.", "Begin again."},
		{"wrong-code", 401, "The code is wrong.", "Look at the clock of the device that shows it, or use a recovery code."},
		{"code-used", 401, "The code was used already.", "Wait for the next one."},
		{"factor-there", 409, "You have an authenticator app already.", "Remove it first."},
		{"no-enrolment", 409, "No authenticator app is being set up.", "Begin again."},
		{"no-factor", 409, "There is no second factor.", "There is nothing to reset."},
		{"not-your-own", 403, "Nobody resets their own second factor.", "Use a recovery code, or ask somebody who may."},
		{"no-passkeys", 503, "Passkeys need a portal with a name as its address.", "An operator sets control.url."},
		{"bad-passkey", 422, "The passkey could not be registered.", "Try again, perhaps with another device."},
		{"passkey-over", 410, "The device answered too late, or had answered already.", "Begin again."},
		{"wrong-passkey", 401, "The passkey opens nothing here.", "Use another one, or sign in in another way."},
		{"passkey-there", 409, "The passkey is registered already.", "Use it."},
		{"too-many-passkeys", 409, "There are as many passkeys as there may be.", "Remove one that is no longer used."},
		{"no-role", 403, "You are known, and hold no role here.", "Ask whoever gives them."},
		{"sso-refused", 403, "The sign-in at the provider did not come to a good end.", "Try again, or sign in in another way."},
		{"sso-elsewhere", 403, "The sign-in at the provider was begun in another browser, or long ago.", "Begin again here."},
		{"sso-away", 503, "The provider cannot be asked now.", "Try again, or sign in in another way."},
		{"sso-not-yours", 403, "The provider signs nobody in here who is known by that name.", "Sign in as you did before."},
		{"sso-unverified", 403, "The provider does not say that the address is verified and of its own domain.", "Ask for an invitation."},
		{"erased", 409, "The person was erased, and does not come back.", "Invite them anew if they are to come back."},
		{"last-api-owner", 409, "An API would be without an owner.", "Give somebody else the role first."},
	}
}
