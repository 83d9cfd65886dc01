// Package rule is what decides on an access request without people: expressions in CEL over the facts of the request.
package rule

import (
	"fmt"
	"time"

	"cel.dev/cel-go/cel"

	"gatehouse/fault"
)

// Facts is what an expression may look at, under the names in the comments.
type Facts struct {
	Scopes      []string      // scopes
	Product     string        // product
	Plan        string        // plan
	Environment string        // environment
	Sort        string        // sort: "", "renewal" or "growth"
	DataClass   string        // data_class
	Duration    time.Duration // duration
	Country     string        // country: of the organization, ISO 3166-1 alpha-2
	VerifiedFor time.Duration // verified_for: how long the organization has been verified
	Standing    int64         // standing: how many grants the application holds in the environment
}

// What a rule can say.
const (
	Approve = "approve" // all that was asked for
	Refuse  = "refuse"
	People  = "people" // the stages decide
)

const (
	longest = 2000   // bytes of an expression
	cost    = 10_000 // CEL's measure of work: some hundred scopes compared with some dozen names
)

// Rule is a checked expression that is true or false. It is safe for concurrent use.
type Rule struct{ program cel.Program }

func environment() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("scopes", cel.ListType(cel.StringType)),
		cel.Variable("product", cel.StringType), cel.Variable("plan", cel.StringType), cel.Variable("environment", cel.StringType),
		cel.Variable("sort", cel.StringType), cel.Variable("data_class", cel.StringType), cel.Variable("country", cel.StringType),
		cel.Variable("duration", cel.DurationType), cel.Variable("verified_for", cel.DurationType), cel.Variable("standing", cel.IntType))
}

// Compile checks the expression and its types. What is wrong is fault.Invalid, in words for whoever wrote it.
func Compile(text string) (Rule, error) {
	if text == "" || len(text) > longest {
		return Rule{}, fault.New(fault.Invalid, "must have from 1 to %d bytes, not %d", longest, len(text))
	}
	e, err := environment()
	if err != nil {
		return Rule{}, err
	}
	ast, issues := e.Compile(text)
	if issues != nil && issues.Err() != nil {
		first := issues.Errors()[0]
		return Rule{}, fault.New(fault.Invalid, "is no expression that can be checked, at column %d: %s", first.Location.Column()+1, first.Message)
	}
	if ast.OutputType() != cel.BoolType {
		return Rule{}, fault.New(fault.Invalid, "must be true or false, not a %s", ast.OutputType())
	}
	p, err := e.Program(ast, cel.CostLimit(cost))
	if err != nil {
		return Rule{}, fault.New(fault.Invalid, "cannot be used: %v", err)
	}
	return Rule{p}, nil
}

// Holds evaluates the expression. An error is no answer: it took too much work, or divided by zero.
func (r Rule) Holds(f Facts) (bool, error) {
	if r.program == nil {
		return false, fault.New(fault.Internal, "the rule has no expression")
	}
	if f.Scopes == nil {
		f.Scopes = []string{}
	}
	out, _, err := r.program.Eval(map[string]any{
		"scopes": f.Scopes, "product": f.Product, "plan": f.Plan, "environment": f.Environment, "sort": f.Sort, "data_class": f.DataClass,
		"country": f.Country, "duration": f.Duration, "verified_for": f.VerifiedFor, "standing": f.Standing,
	})
	if err != nil {
		return false, fmt.Errorf("the rule gives no answer: %w", err)
	}
	yes, ok := out.Value().(bool)
	if !ok {
		return false, fault.New(fault.Internal, "the rule answers with %v", out)
	}
	return yes, nil
}
