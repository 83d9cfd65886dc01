package portal

import (
	"net/http"
	"time"

	"gatehouse/secret"
)

// cookieName is the session cookie's. __Host- needs Secure, which browsers refuse over plain HTTP.
func (v *visit) cookieName() string { return v.hostCookie("gatehouse") }

func (v *visit) hostCookie(name string) string {
	if v.Secure {
		return "__Host-" + name
	}
	return name
}

func (v *visit) setSession(token secret.Value, expires time.Time) {
	http.SetCookie(v.w, &http.Cookie{
		Name: v.cookieName(), Value: token.Reveal(), Path: "/", Expires: expires,
		HttpOnly: true, Secure: v.Secure, SameSite: http.SameSiteLaxMode,
	})
}

func (v *visit) forgetSession() { v.dropCookie(v.cookieName()) }

func (v *visit) dropCookie(name string) {
	http.SetCookie(v.w, &http.Cookie{
		Name: name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: v.Secure, SameSite: http.SameSiteLaxMode,
	})
}

// A notice is a word of one page to the next: the name of one of notices, in a cookie that is dropped when it is shown.

func (v *visit) setNotice(name string) {
	http.SetCookie(v.w, &http.Cookie{
		Name: v.hostCookie("notice"), Value: name, Path: "/", MaxAge: 60,
		HttpOnly: true, Secure: v.Secure, SameSite: http.SameSiteLaxMode,
	})
}

func (v *visit) takeNotice() {
	if v.r.Method != http.MethodGet {
		return
	}
	c, err := v.r.Cookie(v.hostCookie("notice"))
	if err != nil {
		return
	}
	v.notice = notices[c.Value]
	v.dropCookie(c.Name)
}

// The theme is a cookie that the page's own script may set too, so that choosing one needs no reload.

const themeCookie = "theme"

func (v *visit) theme() string {
	c, err := v.r.Cookie(themeCookie)
	if err != nil || c.Value != "light" && c.Value != "dark" {
		return "auto"
	}
	return c.Value
}

// setTheme is POST /theme.
func setTheme(v *visit) error {
	t := v.r.PostForm.Get("theme")
	if t != "light" && t != "dark" {
		t = "auto"
	}
	http.SetCookie(v.w, &http.Cookie{Name: themeCookie, Value: t, Path: "/", MaxAge: 365 * 24 * 3600, Secure: v.Secure, SameSite: http.SameSiteLaxMode})
	to := local(v.r.PostForm.Get("return"))
	if to == "" {
		to = "/"
	}
	return v.redirect(to)
}
