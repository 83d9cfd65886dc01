package control

import (
	"context"
	"time"

	"gatehouse/id"
	"gatehouse/identity"
	"gatehouse/organization"
	"gatehouse/secret"
	"gatehouse/session"
)

// Registration is what a partner registers with.
type Registration struct {
	Organization string // its name
	Website      string
	Country      string // ISO 3166-1 alpha-2, or ""
	Register     string // its number in a register of companies, or ""
	Name         string // of the member, who becomes the organization's owner
	Email        string
	Password     secret.Value
}

// Register makes an organization with its first member, and sends a letter with a link that confirms the address. For an
// address that is already known it answers the same and sends a letter that says so: who is registered is nobody's
// business.
func (c *Control) Register(ctx context.Context, a identity.Actor, r Registration) error {
	panic("control: to be written")
}

// ConfirmEmail uses the link of Register. A used or expired one is fault.Gone.
func (c *Control) ConfirmEmail(ctx context.Context, a identity.Actor, token secret.Value) (identity.Person, error) {
	panic("control: to be written")
}

// ResendConfirmation sends the letter of Register again, if the address waits for one; it answers the same if not.
func (c *Control) ResendConfirmation(ctx context.Context, a identity.Actor, email string) error {
	panic("control: to be written")
}

// SignedIn is a fresh session and its token, which is told once.
type SignedIn struct {
	Session session.Session
	Token   secret.Value
	Person  identity.Person
}

// SignIn checks e-mail address and password. Wrong ones are fault.Unauthenticated, too many tries fault.Limited, an
// unconfirmed address fault.Forbidden with the code "unconfirmed".
func (c *Control) SignIn(ctx context.Context, a identity.Actor, email string, password secret.Value, userAgent string) (SignedIn, error) {
	panic("control: to be written")
}

// SignInByLink uses a one-time sign-in link.
func (c *Control) SignInByLink(ctx context.Context, a identity.Actor, token secret.Value, userAgent string) (SignedIn, error) {
	panic("control: to be written")
}

// SignOut ends the actor's session.
func (c *Control) SignOut(ctx context.Context, a identity.Actor) error {
	panic("control: to be written")
}

// RequestPasswordReset sends a letter with a link, if the address is known; it answers the same if not.
func (c *Control) RequestPasswordReset(ctx context.Context, a identity.Actor, email string) error {
	panic("control: to be written")
}

// ResetPassword uses the link of RequestPasswordReset, sets the password and ends the person's sessions. It confirms the
// address too.
func (c *Control) ResetPassword(ctx context.Context, a identity.Actor, token, password secret.Value) error {
	panic("control: to be written")
}

// ChangePassword sets the actor's own password and ends their other sessions. old is not needed where none is set.
func (c *Control) ChangePassword(ctx context.Context, a identity.Actor, old, fresh secret.Value) error {
	panic("control: to be written")
}

// BySession returns the actor of a session token, or fault.Unauthenticated.
func (c *Control) BySession(ctx context.Context, token secret.Value, address, requestID string) (identity.Actor, error) {
	panic("control: to be written")
}

// ByBearer returns the actor of a bearer token: a machine token (ghm_…), a session's (ghs_…) or the host's (ghh_…).
func (c *Control) ByBearer(ctx context.Context, token secret.Value, address, requestID string) (identity.Actor, error) {
	panic("control: to be written")
}

// HostToken makes the token by which whoever owns the data directory acts as Host. It is valid while this process runs.
func (c *Control) HostToken() secret.Value { panic("control: to be written") }

// Person returns the actor's own person, one of their organization, or for staff anybody.
func (c *Control) Person(ctx context.Context, a identity.Actor, i id.ID) (identity.Person, error) {
	panic("control: to be written")
}

// Members lists the people of an organization.
func (c *Control) Members(ctx context.Context, a identity.Actor, org id.ID, p Page) (List[identity.Person], error) {
	panic("control: to be written")
}

// StaffList lists the platform's people.
func (c *Control) StaffList(ctx context.Context, a identity.Actor, p Page) (List[identity.Person], error) {
	panic("control: to be written")
}

// AddStaff makes a person of the platform and sends them a sign-in link. Admin or Host.
func (c *Control) AddStaff(ctx context.Context, a identity.Actor, email, name string, roles []identity.Role) (identity.Person, error) {
	panic("control: to be written")
}

// ChangeStaff sets the roles and state of a person of the platform. The last active admin cannot be taken away. Admin.
func (c *Control) ChangeStaff(ctx context.Context, a identity.Actor, i id.ID, version int64, roles []identity.Role, s identity.State) (identity.Person, error) {
	panic("control: to be written")
}

// RecoverAdmin makes sure that the address belongs to an active admin, and returns a one-time sign-in link for them, valid
// 15 minutes. Only for Host: it is how the first and a last administrator get in.
func (c *Control) RecoverAdmin(ctx context.Context, a identity.Actor, email, name string) (link secret.Value, err error) {
	panic("control: to be written")
}

// CreateMachineToken makes a token (ghm_…) with some of the actor's own roles, for at most a year.
func (c *Control) CreateMachineToken(ctx context.Context, a identity.Actor, name string, roles []identity.Role, expires time.Time) (identity.MachineToken, secret.Value, error) {
	panic("control: to be written")
}

// MachineTokens lists the actor's own; for an admin, all.
func (c *Control) MachineTokens(ctx context.Context, a identity.Actor, p Page) (List[identity.MachineToken], error) {
	panic("control: to be written")
}

// RevokeMachineToken ends one.
func (c *Control) RevokeMachineToken(ctx context.Context, a identity.Actor, i id.ID) (identity.MachineToken, error) {
	panic("control: to be written")
}

// DeviceStart is the begin of a sign-in by device code (RFC 8628).
type DeviceStart struct {
	DeviceCode secret.Value
	UserCode   string // such as BCDF-GHJK
	URL        string // where the person allows it
	Expires    time.Time
	Interval   time.Duration // between two polls
}

// StartDevice begins a sign-in by device code.
func (c *Control) StartDevice(ctx context.Context, a identity.Actor, client string) (DeviceStart, error) {
	panic("control: to be written")
}

// Device shows the waiting sign-in to the person who is asked to allow it.
func (c *Control) Device(ctx context.Context, a identity.Actor, userCode string) (identity.Device, error) {
	panic("control: to be written")
}

// DecideDevice allows or denies it.
func (c *Control) DecideDevice(ctx context.Context, a identity.Actor, userCode string, allow bool) error {
	panic("control: to be written")
}

// PollDevice returns a machine token, once, when the person has allowed it. Before, it is fault.Unavailable with the code
// "authorization-pending"; denied is fault.Forbidden "access-denied"; over is fault.Gone "expired-token".
func (c *Control) PollDevice(ctx context.Context, a identity.Actor, deviceCode secret.Value) (identity.MachineToken, secret.Value, error) {
	panic("control: to be written")
}

// Sessions lists the actor's own sessions, newest first.
func (c *Control) Sessions(ctx context.Context, a identity.Actor) ([]session.Session, error) {
	panic("control: to be written")
}

// EndSession ends one of the actor's own sessions.
func (c *Control) EndSession(ctx context.Context, a identity.Actor, i id.ID) error {
	panic("control: to be written")
}

// Organizations lists partners. Staff.
func (c *Control) Organizations(ctx context.Context, a identity.Actor, s organization.State, search string, p Page) (List[organization.Organization], error) {
	panic("control: to be written")
}

// Organization returns the actor's own, or for staff any.
func (c *Control) Organization(ctx context.Context, a identity.Actor, i id.ID) (organization.Organization, error) {
	panic("control: to be written")
}

// VerifyOrganization says that staff have checked who it is. Operator or admin.
func (c *Control) VerifyOrganization(ctx context.Context, a identity.Actor, i id.ID, version int64, note string) (organization.Organization, error) {
	panic("control: to be written")
}

// SuspendOrganization stops everything it has at every gateway, by one change. Operator or admin.
func (c *Control) SuspendOrganization(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (organization.Organization, error) {
	panic("control: to be written")
}

// ResumeOrganization ends a suspension. Operator or admin.
func (c *Control) ResumeOrganization(ctx context.Context, a identity.Actor, i id.ID, version int64, reason string) (organization.Organization, error) {
	panic("control: to be written")
}
