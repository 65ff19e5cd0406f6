package rdd

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Pipe sends each partition through a command on executors, as lines: it starts one
// process for each, also for an empty one, writes the elements to its standard input with
// a newline after each, and yields the lines of its standard output, without their ends.
// command is the program and its arguments: there is no shell, unless it is one.
//
// The task fails if the command can't be started or ends with another status than 0; the
// error has that and the last of what it wrote to its standard error. A command may end
// before it has read everything. It is killed when its task is killed, or when nobody
// wants more of its lines. The result has no partitioner.
func Pipe(r *RDD[string], command []string) *RDD[string] {
	o := r.sc.op("pipe")
	command = slices.Clone(command)
	if len(command) == 0 || command[0] == "" {
		o.fail(fmt.Errorf("%w: the command is empty", ErrArgument))
	}
	return narrow(o, r, func(tc *task.Context, p int) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			more := true
			err := piped(tc, command, r.Compute(tc, p), func(line string) bool {
				if tc.Killed() {
					return false
				}
				more = yield(line, nil)
				return more
			})
			switch {
			case !more: // and what the process said of it is of no interest
			case tc.Err() != nil:
				ends(yield, context.Cause(tc))
			default:
				if own, ok := err.(processError); ok {
					err = o.error(own.error)
				}
				ends(yield, err)
			}
		}
	})
}

// processError is an error of a process, not of the sequence that it is sent.
type processError struct{ error }

// piped runs a command over a sequence and hands the lines that it writes to take, until
// that returns false.
func piped(ctx context.Context, command []string, in iter.Seq2[string, error], take func(line string) bool) error {
	p, err := startProcess(ctx, command)
	if err != nil {
		return processError{err}
	}
	defer p.end() // also if take, or who makes the sequence, panics
	more := true
	p.take = func(text string) bool {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if more = take(line); !more {
				break
			}
		}
		return more
	}
	var failed error
	p.feed(func(yield func(string) bool) {
		in(func(v string, err error) bool {
			failed = err
			return err == nil && yield(v)
		})
	})
	if failed != nil || !more {
		return failed
	}
	p.drain()
	if err := p.wait(); err != nil && more {
		return processError{err}
	}
	return nil
}
