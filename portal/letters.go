package portal

import (
	"encoding/json"
	"strings"
	"time"

	"gatehouse/control"
	"gatehouse/fault"
	"gatehouse/mail"
)

// lettersPage shows the letters that development keeps instead of sending.
type lettersPage struct {
	frame
	Letters []letterView
}

func (*lettersPage) template() string { return "letters" }

// letterView is one letter, for the page and as JSON.
type letterView struct {
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
	Links   []string  `json:"links"`
}

// letterList is the JSON of /dev/mail.
type letterList struct {
	Items []letterView `json:"items"`
}

func showLetters(v *visit) error {
	if !v.Dev || v.Box == nil {
		return fault.New(fault.NotFound, "there is no such page")
	}
	list := letterList{Items: rows(v.Box.Letters(), func(l mail.Letter) letterView {
		links := mail.Links(l.Text)
		if links == nil {
			links = []string{}
		}
		return letterView{l.To, l.Subject, l.Text, l.At, links}
	})}
	v.w.Header().Add("Vary", "Accept")
	if strings.Contains(v.r.Header.Get("Accept"), "application/json") {
		v.written = true
		v.w.Header().Set("Content-Type", "application/json")
		v.w.Header().Set("Cache-Control", "no-store")
		return json.NewEncoder(v.w).Encode(list)
	}
	p := &lettersPage{Letters: list.Items}
	p.Title, p.Lead = "Letters", "In development mode no letter leaves this machine: here they are, the newest first."
	return v.ok(p)
}

// undeliveredPage lists the letters that could not be delivered, for staff.
type undeliveredPage struct {
	frame
	Letters []undeliveredLetter
	Pager   pager
}

func (*undeliveredPage) template() string { return "undelivered" }

// undeliveredLetter is one letter that was given up. Its text may hold a link and is not shown.
type undeliveredLetter struct {
	To, Subject, Problem string
	At                   time.Time
	Tries                int
}

func listUndelivered(v *visit) error {
	list, err := v.Control.GivenUpLetters(v.r.Context(), v.actor, control.Page{After: v.after()})
	if err != nil {
		return err
	}
	p := &undeliveredPage{Pager: v.pager(list.Next)}
	for _, l := range list.Items {
		p.Letters = append(p.Letters, undeliveredLetter{l.To, l.Subject, l.Problem, l.At, l.Tries})
	}
	p.Title, p.Lead = "Letters that did not arrive", "What could not be delivered, and why. Nothing tries again by itself."
	p.Trail = []crumb{{"People", "/people"}}
	return v.ok(p)
}
