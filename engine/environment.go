package engine

import (
	"log/slog"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Environment is what a connector asks of the program that uses it. A stream's
// [StreamingContext] is one; [EnvironmentOf] returns that of a batch program.
type Environment interface {
	// Brokers returns the text of the flag --brokers, "" if it wasn't given.
	Brokers() string
	// Durable reports whether the job outlives this process.
	Durable() bool
	// Logger returns the process's logger.
	Logger() *slog.Logger
	// Fail records an error of an operator that the connector can't build.
	Fail(op string, err error)
	// Shared returns the program's value for key, made by the first that asks.
	Shared(key any, make func() any) any

	// copied returns the copy of the program, if its settings may be declared now.
	copied(op string) (*plan.Program, bool)
}

// EnvironmentOf returns the environment of the batch program in which sc makes RDDs, for
// connectors. In a context of another kind, such as that of a stream's batch, which has
// none, it records an error that says [rdd.ErrNoActions].
func EnvironmentOf(sc *rdd.Context) Environment {
	e := &batchEnvironment{sc: sc, program: replay.ProgramOf(sc)}
	if e.program == nil {
		e.program = &plan.Program{Settings: plan.DefaultSettings(), Log: slog.New(slog.DiscardHandler)}
		e.Fail("a connector", rdd.ErrNoActions)
	}
	return e
}

// batchEnvironment is a batch program's.
type batchEnvironment struct {
	sc      *rdd.Context
	program *plan.Program
}

func (e *batchEnvironment) Brokers() string      { return e.program.Brokers }
func (e *batchEnvironment) Durable() bool        { return e.program.Durable }
func (e *batchEnvironment) Logger() *slog.Logger { return e.program.Log }

func (e *batchEnvironment) Fail(op string, err error) {
	e.sc.Lineage().Fail(&rdd.OpError{Op: op, Site: lineage.Caller(), Err: err})
}

func (e *batchEnvironment) Shared(key any, make func() any) any {
	return e.program.SharedValue(key, make)
}

// copied returns the copy: a batch program declares while it runs.
func (e *batchEnvironment) copied(string) (*plan.Program, bool) { return e.program, true }

// copied returns the copy while it is built.
func (ssc *StreamingContext) copied(op string) (*plan.Program, bool) {
	return ssc.program, ssc.program.Open(op)
}

var (
	_ Environment = (*StreamingContext)(nil)
	_ Environment = (*batchEnvironment)(nil)
)
