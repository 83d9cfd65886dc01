package portal

import (
	"gatehouse/fault"
)

// explained is one type of problem that APIs answer with: what happened, and what to do.
type explained struct {
	Code     string
	Status   int
	What, Do string
}

// problemsPage lists every type of problem.
type problemsPage struct {
	frame
	Problems []explained
}

func (*problemsPage) template() string { return "problems" }

func listProblems(v *visit) error {
	p := &problemsPage{Problems: problemTypes()}
	p.Title, p.Lead = "Problems explained", "Every refusal of the gateway and of the admin API carries a type: the path of its explanation at this address."
	return v.ok(p)
}

// problemPage is one of them.
type problemPage struct {
	frame
	Problem explained
}

func (*problemPage) template() string { return "problem" }

func showProblem(v *visit) error {
	for _, x := range problemTypes() {
		if x.Code == v.r.PathValue("code") {
			p := &problemPage{Problem: x}
			p.Title = titleWords(x.Code)
			p.Trail = []crumb{{"Problems explained", "/problems"}}
			return v.ok(p)
		}
	}
	return fault.New(fault.NotFound, "there is no such problem")
}
