package engine

import (
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
)

// Setting is a setting of a connector, given on the command line as --conf
// key=value. The engine learns of it where a program uses the connector, which
// calls Read then: a key that nobody has read when the program is built is refused,
// so that no slip goes unseen; of a batch program, which uses connectors as it goes, when it
// comes to its first action: export a function that reads them all, for programs that use the
// connector later. --conf help lists the settings that a program declares; list a
// connector's in the documentation of its package, too.
type Setting[T any] struct {
	Key     string                        // such as "streaming.radio.maxRate"
	Help    string                        // what it says, in a few words, with the default in brackets
	Default T                             // when it isn't given
	Parse   func(value string) (T, error) // its error says what goes, bounds too; see [Number], [WholeNumber] and [Duration]
}

// Read declares the setting and returns its value. Call it in the build function, or
// where a batch program makes what the setting is for;
// it may be called again. A value that is wrong fails the program like a wrong flag.
// Processes with different values are refused; a job that goes on after a restart
// may have another.
func (s Setting[T]) Read(e Environment) T {
	const op = "setting"
	program, open := e.copied(op)
	if !open {
		return s.Default
	}
	if s.Parse == nil {
		e.Fail(op, fmt.Errorf("%s: Parse: %w", s.Key, rdd.ErrNilFunction))
		return s.Default
	}
	declared, err := program.DeclareSetting(s.Key, s.Help)
	if err != nil {
		e.Fail(op, err)
		return s.Default
	}
	if !declared.Given {
		return s.Default
	}
	v, err := s.Parse(declared.Value)
	if err != nil {
		e.Fail(op, fmt.Errorf("%w: --conf %s=%s (%s): %w", ErrUsage, s.Key, declared.Value, s.Help, err))
		return s.Default
	}
	return v
}

// Number returns what parses a setting's value as a number within bounds.
func Number(least, most float64) func(value string) (float64, error) {
	return func(value string) (float64, error) { return plan.Number(value, least, most) }
}

// WholeNumber returns what parses a setting's value as a whole number within
// bounds.
func WholeNumber(least, most int64) func(value string) (int64, error) {
	return func(value string) (int64, error) { return plan.WholeNumber(value, least, most) }
}

// Duration returns what parses a setting's value as a duration with a unit, such as 500ms,
// within bounds.
func Duration(least, most time.Duration) func(value string) (time.Duration, error) {
	return func(value string) (time.Duration, error) { return plan.Duration(value, least, most) }
}
