package manifest

// Document is what Gatehouse needs of an OpenAPI document.
type Document struct {
	Title, Version, Description string
	Raw                         []byte // as it was published
	Operations                  []DocOperation
	Schemes                     []string
	byID                        map[string]int // index of each operation
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

// Schema is a JSON schema as the API reference shows it. Schemas are shared and may be deep, but never contain themselves;
// written out, one has at most a few thousand parts.
type Schema struct {
	Type        string // "object", "array of string", "string (date-time)", …
	Description string
	Enum        []string
	Properties  []Property
	Items       *Schema
	Recursive   string // the name of a schema that is not written out here, because it stands further up already or is too large
}

// Property is one property of an object.
type Property struct {
	Name     string
	Required bool
	Schema   *Schema
}

// Operation returns the operation of that ID.
func (d *Document) Operation(id string) (*DocOperation, bool) {
	i, ok := d.byID[id]
	if !ok {
		return nil, false
	}
	return &d.Operations[i], true
}

func (d *Document) has(id string) bool {
	_, ok := d.byID[id]
	return ok
}

func (d *Document) ids() []string {
	out := make([]string, len(d.Operations))
	for i, op := range d.Operations {
		out[i] = op.ID
	}
	return out
}
