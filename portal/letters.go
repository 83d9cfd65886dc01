package portal

import (
	"encoding/json"
	"strings"
	"time"

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
