package rawtest

import "strconv"

// HiddenAnswer is what some take for a second answer behind an empty chunked body, and others for content.
const HiddenAnswer = "0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden"

// Answers are an upstream's answers that some program reads in another way than others. Each has a body of its own reading,
// and Then where a hidden answer stands behind it.
func Answers() []Strange {
	var all []Strange
	seen := map[string]bool{}
	add := func(name, raw, body string, then bool) {
		if !seen[raw] {
			seen[raw] = true
			all = append(all, Strange{Name: name, Raw: raw, Body: body, Then: then})
		}
	}
	size := strconv.Itoa(len(HiddenAnswer))
	for _, line := range append(names("Transfer-Encoding", "chunked"), values("Transfer-Encoding", "chunked")...) {
		add(line, "HTTP/1.1 200 OK\r\nContent-Length: "+size+"\r\n"+line+"\r\n\r\n"+HiddenAnswer, HiddenAnswer, false)
	}
	for _, line := range append(names("Content-Length", "6"), append(values("Content-Length", "6"), lengths()...)...) {
		add(line, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"+line+"\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", false)
		add(line+" beside another", "HTTP/1.1 200 OK\r\nContent-Length: "+size+"\r\n"+line+"\r\n\r\n"+HiddenAnswer, HiddenAnswer, false)
	}
	for _, c := range chunks() {
		add("chunk "+strconv.Quote(c), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+c+HiddenAnswer, "hello", true)
	}
	for b := range 256 {
		c := string([]byte{byte(b)})
		for _, line := range []string{c + "HTTP/1.1 200 OK", "HTTP" + c + "1.1 200 OK", "HTTP/1" + c + "1 200 OK", "HTTP/1." + c + " 200 OK", "HTTP/1.1" + c + "200 OK", "HTTP/1.1 2" + c + "0 OK", "HTTP/1.1 200" + c + "OK", "HTTP/1.1 200 O" + c + "K", "HTTP/1.1 200 OK" + c, "HTTP/1.1 " + c + "200 OK", "HTTP/1.1 200" + c} {
			add(line, line+"\r\nContent-Length: "+size+"\r\n\r\n"+HiddenAnswer, HiddenAnswer, false)
		}
	}
	return all
}
