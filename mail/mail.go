// Package mail sends the letters of the control plane: by SMTP, or, in development, into a box that can be read.
package mail

import (
	"context"
	"time"
)

// Letter is one e-mail. Text is plain; links stand on lines of their own.
type Letter struct {
	To      string
	Subject string
	Text    string
	At      time.Time
}

// Sender delivers letters. Send returns once the letter is with the next server, or kept.
type Sender interface {
	Send(ctx context.Context, l Letter) error
}
