// Command reference writes docs/manifest.md: every field of the manifest and every setting of the policies, from the types
// that read them and their comments.
package main

import (
	"fmt"
	"os"

	"gatehouse/app"
)

func main() {
	text, err := reference(".", app.Kinds())
	if err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
	os.Stdout.Write(text)
}
