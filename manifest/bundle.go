package manifest

// Bundle is the files of a manifest's folder by their slash-separated path: what is published, digested and stored.
type Bundle map[string][]byte

// Parsed is a manifest that has been read: the declarations, the documents they name, and where each thing stands.
type Parsed struct {
	Manifest
	Documents map[string]*Document // the OpenAPI document of each API by the API's name; nil when it could not be read
	places    map[string]place     // JSON pointer into the joined manifest -> file and line
}

type place struct {
	file    string
	line    int
	pointer string // into that file
}

// Document is what Gatehouse needs of an OpenAPI document.
type Document struct {
	Title, Version, Description string
	Raw                         []byte // as it was published
	Operations                  []DocOperation
	Schemes                     []string
}

// DocOperation is one operation of a document.
type DocOperation struct {
	ID          string // operationId; "METHOD /path" where there is none
	Method      string // upper case
	Path        string // template, such as /verifications/{id}
	Summary     string
	Description string
	Tags        []string
	Deprecated  bool
	Scopes      []string // that the document's security asks for
	Open        bool     // the document says that no authentication is needed
	Parameters  []Parameter
	Request     *Body
	Responses   []Response
	Line        int // in the document
}

// Parameter is one parameter of an operation.
type Parameter struct {
	Name, In, Description, Type string
	Required                    bool
	Example                     string
}

// Body is a request or response body of one media type.
type Body struct {
	MediaType string
	Required  bool
	Schema    *Schema
	Example   string // indented JSON, given or made from the schema
}

// Response is one answer of an operation.
type Response struct {
	Status      string // "200", "4XX", "default"
	Description string
	Bodies      []Body
}

// Schema is a JSON schema as the API reference shows it.
type Schema struct {
	Type        string // "object", "array of string", "string (date-time)", …
	Description string
	Enum        []string
	Properties  []Property
	Items       *Schema
	Recursive   string // the name of the schema that stands here again, where it contains itself
}

// Property is one property of an object.
type Property struct {
	Name     string
	Required bool
	Schema   *Schema
}

// Load reads a folder into a bundle. It follows no links out of the folder and stops at MaxBundle bytes.
func Load(dir string) (Bundle, []Diagnostic) { panic("manifest: to be written") }

// Encode writes the bundle in one canonical form, compressed; Decode reads it back and refuses what Encode does not write.
func (b Bundle) Encode() []byte { panic("manifest: to be written") }

// Decode reads what Encode wrote.
func Decode([]byte) (Bundle, error) { panic("manifest: to be written") }

// Digest is "sha256:" and the hexadecimal SHA-256 over names and contents, whatever the encoding.
func (b Bundle) Digest() string { panic("manifest: to be written") }

// Parse reads and validates the bundle. It is pure, and reports everything that is wrong at once. The result is never nil,
// and complete only when no diagnostic is fatal.
func Parse(b Bundle) (*Parsed, []Diagnostic) { panic("manifest: to be written") }

// At makes a diagnostic about the thing at the pointer into the joined manifest, such as /apis/0/policies/2/rate_limit/burst.
func (p *Parsed) At(pointer, format string, args ...any) Diagnostic { panic("manifest: to be written") }
