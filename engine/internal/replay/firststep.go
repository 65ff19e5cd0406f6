package replay

import (
	"runtime"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// RunToFirstStep runs a copy of a batch program until it comes to an action or a value, for what
// the program declares before it. Nothing is computed and no effect runs. What is wrong with the
// program is for whoever runs it to say.
func RunToFirstStep(p *plan.Program) {
	_ = p.RunBody(p.NewContext(noStep{p})) // on a goroutine of its own, which noStep ends
}

// noStep ends a copy of a program at its first step. It implements rdd.Runner.
type noStep struct{ program *plan.Program }

func (r noStep) MaxResultBytes() int { return r.program.Settings.MaxResultSize }

// Run ends the copy.
func (r noStep) Run(lineage.Action) ([][]byte, error) {
	runtime.Goexit()
	return nil, nil
}

// Value ends the copy.
func (r noStep) Value(lineage.Site, func() ([]byte, error)) ([]byte, error) {
	runtime.Goexit()
	return nil, nil
}

// OnDriver does nothing: this isn't the driver.
func (r noStep) OnDriver(lineage.Site, func() error) error { return nil }
