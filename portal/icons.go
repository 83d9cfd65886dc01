package portal

import (
	"fmt"
	"html/template"
)

// icons are drawn on a grid of 20, as strokes.
var icons = map[string]string{
	"home":    `<path d="M3 9.5 10 4l7 5.5V16a1 1 0 0 1-1 1h-3.5v-5h-5v5H4a1 1 0 0 1-1-1z"/>`,
	"apps":    `<path d="M10 2.8 16.5 6v8L10 17.2 3.5 14V6z"/><path d="M3.5 6 10 9.3 16.5 6M10 9.3v7.9"/>`,
	"book":    `<path d="M4 4.2c2.4-.9 4.3-.6 6 .7 1.7-1.3 3.6-1.6 6-.7v11.3c-2.4-.9-4.3-.6-6 .7-1.7-1.3-3.6-1.6-6-.7zM10 4.9v11.3"/>`,
	"inbox":   `<path d="M3 11.5 5.2 4h9.6L17 11.5V15a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 3 15zM3 11.5h4l1.2 2h3.6l1.2-2h4"/>`,
	"grant":   `<path d="M4.5 17V9a5.5 5.5 0 0 1 11 0v8M2.5 17h15M8 17v-6.5a2 2 0 0 1 4 0V17"/>`,
	"key":     `<circle cx="7" cy="13" r="3.5"/><path d="m9.6 10.4 6.9-6.9M13.5 6.5l2.2 2.2M11.4 8.6l1.6 1.6"/>`,
	"log":     `<path d="M5 3h7.5L16 6.5V17H5zM12 3v4h4M7.7 10.5h5.6M7.7 13.5h5.6"/>`,
	"people":  `<circle cx="7.5" cy="7" r="2.8"/><path d="M2.5 16c.5-2.8 2.3-4.3 5-4.3s4.5 1.5 5 4.3M13 4.5a2.6 2.6 0 0 1 0 5M14.5 12c1.7.5 2.7 1.9 3 4"/>`,
	"org":     `<path d="M3.5 17V5l7-2v14M10.5 8l6 1.5V17M2 17h16M6 7.5h2M6 10.5h2M6 13.5h2M13 12h1.2M13 14.5h1.2"/>`,
	"server":  `<rect x="3" y="3.5" width="14" height="5.5" rx="1.2"/><rect x="3" y="11" width="14" height="5.5" rx="1.2"/><path d="M6 6.25h.01M6 13.75h.01M10 6.25h4M10 13.75h4"/>`,
	"token":   `<rect x="2.5" y="5" width="15" height="10" rx="1.5"/><path d="m5.5 8.2 2 1.8-2 1.8M9.5 12h4"/>`,
	"person":  `<circle cx="10" cy="7" r="3"/><path d="M4 16.5c.7-3.2 2.8-4.8 6-4.8s5.3 1.6 6 4.8"/>`,
	"mail":    `<rect x="2.5" y="4.5" width="15" height="11" rx="1.5"/><path d="m3 6 7 5 7-5"/>`,
	"copy":    `<rect x="7" y="7" width="9.5" height="9.5" rx="1.5"/><path d="M13 7V5a1.5 1.5 0 0 0-1.5-1.5H5A1.5 1.5 0 0 0 3.5 5v6.5A1.5 1.5 0 0 0 5 13h2"/>`,
	"check":   `<path d="m4 10.5 4 4 8-9"/>`,
	"alert":   `<path d="M10 3.2 18 16.5H2zM10 8v4M10 14.2h.01"/>`,
	"info":    `<circle cx="10" cy="10" r="7.2"/><path d="M10 9v4.5M10 6.4h.01"/>`,
	"stop":    `<circle cx="10" cy="10" r="7.2"/><path d="m5 5 10 10"/>`,
	"clock":   `<circle cx="10" cy="10" r="7.2"/><path d="M10 5.8V10l2.8 1.8"/>`,
	"arrow":   `<path d="M3.5 10h13M11.5 5l5 5-5 5"/>`,
	"right":   `<path d="m8 4.5 5.5 5.5L8 15.5"/>`,
	"menu":    `<path d="M3 6h14M3 10h14M3 14h14"/>`,
	"out":     `<path d="M12 3.5H5A1.5 1.5 0 0 0 3.5 5v10A1.5 1.5 0 0 0 5 16.5h7M8.5 10h8.5M13.5 6.5 17 10l-3.5 3.5"/>`,
	"plus":    `<path d="M10 4v12M4 10h12"/>`,
	"shield":  `<path d="M10 2.8 16 5v5c0 3.6-2.3 6-6 7.3C6.3 16 4 13.6 4 10V5z"/><path d="m7.3 10 2 2 3.5-4"/>`,
	"reach":   `<circle cx="10" cy="10" r="2"/><circle cx="10" cy="10" r="7.2"/><path d="M10 2.8V8M10 12v5.2M2.8 10H8M12 10h5.2"/>`,
	"sun":     `<circle cx="10" cy="10" r="3.2"/><path d="M10 2.5v1.8M10 15.7v1.8M2.5 10h1.8M15.7 10h1.8M4.7 4.7 6 6M14 14l1.3 1.3M4.7 15.3 6 14M14 6l1.3-1.3"/>`,
	"moon":    `<path d="M16.5 11.8A7 7 0 0 1 8.2 3.5a7 7 0 1 0 8.3 8.3z"/>`,
	"screen":  `<rect x="2.5" y="4" width="15" height="9.5" rx="1.3"/><path d="M7 16.5h6M10 13.5v3"/>`,
	"down":    `<path d="M10 3.5v9M6 9l4 4 4-4M3.5 16.5h13"/>`,
	"search":  `<circle cx="9" cy="9" r="5.5"/><path d="m13 13 4 4"/>`,
	"print":   `<path d="M5.5 7V3h9v4M5.5 13.5H3.5V8A1 1 0 0 1 4.5 7h11a1 1 0 0 1 1 1v5.5h-2M5.5 11.5h9V17h-9z"/>`,
	"restart": `<path d="M4 10a6 6 0 1 1 1.8 4.3M4 15v-3.5h3.5"/>`,
}

// icon draws one. It says nothing to a screen reader: the words stand beside it.
func icon(name string) (template.HTML, error) {
	d, ok := icons[name]
	if !ok {
		return "", fmt.Errorf("there is no icon %q", name)
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 20 20" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">` + d + `</svg>`), nil
}
