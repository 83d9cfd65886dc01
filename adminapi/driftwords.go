package adminapi

// driftWords are those of the drift review.
func driftWords() map[string]word {
	return map[string]word{
		"DriftStanding.watched":    {text: "The environments that are watched"},
		"DriftStanding.every":      {text: "How often they are reviewed by itself; none: only when asked", example: "6h0m0s"},
		"DriftStanding.run":        {text: "The newest review; none before the first"},
		"DriftStanding.awaited":    {text: "Environments of which no bundle was uploaded yet"},
		"DriftStanding.bundles":    {text: "The newest bundle of each environment that is uploaded"},
		"DriftStanding.failure":    {text: "Why the last review by itself could not be made; none when it could"},
		"DriftStanding.findings":   {text: "What it found, the worst first"},
		"DriftRun.at":              {text: "When it was made"},
		"DriftFinding.id":          {text: "Stays the same while rule, environments and values do", example: "dr_0123456789abcdef"},
		"DriftFinding.rule":        {text: "The rule, whose id never changes its meaning", example: "DR-AUT-01"},
		"DriftFinding.title":       {text: "What the rule looks for"},
		"DriftFinding.area":        {text: "auth, certificates, observability, traffic or exposure", example: "auth"},
		"DriftFinding.severity":    {text: "info, low, medium, high or critical", example: "critical"},
		"DriftFinding.direction":   {text: "Which side is the weaker door", example: "B weaker"},
		"DriftFinding.operations":  {text: "Methods and paths where it is so; none: it is about the environment"},
		"DriftFinding.a":           {text: "One side"},
		"DriftFinding.b":           {text: "The other side; none: it is about the first alone"},
		"DriftFinding.explanation": {text: "What it means here"},
		"DriftFinding.waived":      {text: "Whether it is accepted for now"},
		"DriftSide.environment":    {text: "Its name", example: "staging"},
		"DriftSide.state":          {text: "How the value came about: set, default, inherited, conditional, unresolved or unsupported", example: "set"},
		"DriftSide.origin":         {text: "Where it stands", example: "kong.yaml:12 (route items)"},
		"Waiver.rule":              {text: "The rule that is waived", example: "DR-OBS-02"},
		"Waiver.finding":           {text: "Only this finding; none: all of the rule", example: "dr_0123456789abcdef"},
		"Waiver.environment":       {text: "Only where this is the weaker side; none: everywhere", example: "staging"},
		"Waiver.owner":             {text: "Who answers for it", example: "Payments team"},
		"Waiver.reason":            {text: "Why it is accepted", example: "The old gateway is switched off in March."},
		"Waiver.by":                {text: "The person who waived it"},
		"Waiver.created":           {text: "When"},
		"Waiver.ends":              {text: "When it ends by itself"},
		"Waiver.ended":             {text: "When somebody ended it before its end; none: nobody did"},
	}
}
