package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// mergeWidth is how many runs are merged at once, which bounds the open files.
const mergeWidth = 64

// runSet is the sorted runs that an operator wrote, the first records first. Runs of one
// level are merged into one of the next when there are mergeWidth of them, so that a
// record is written as often as there are levels.
type runSet[T any] struct {
	tc    *task.Context
	codec encoding.Codec[T]
	by    order[T]
	runs  []leveledRun // invariant: levels don't ascend, and no level has mergeWidth runs
}

type leveledRun struct {
	task.Run
	level int
}

// add writes sorted records to a run, which comes after the others.
func (s *runSet[T]) add(rows iter.Seq2[T, error]) error {
	run, err := writeRun(s.tc.Memory, s.codec, rows)
	if err != nil {
		return err
	}
	s.runs = append(s.runs, leveledRun{run, 0})
	for s.ofLastLevel() == mergeWidth {
		if err := s.mergeLast(); err != nil {
			return err
		}
	}
	return nil
}

// ofLastLevel returns how many runs have the last one's level.
func (s *runSet[T]) ofLastLevel() int {
	last := len(s.runs) - 1
	n := 0
	for n <= last && s.runs[last-n].level == s.runs[last].level {
		n++
	}
	return n
}

// mergeLast merges the last runs, which have one level.
func (s *runSet[T]) mergeLast() error {
	first := len(s.runs) - mergeWidth
	last := s.runs[first:]
	part := runSet[T]{tc: s.tc, codec: s.codec, by: s.by, runs: last}
	run, err := writeRun(s.tc.Memory, s.codec, part.merged()) // opens them when it is read
	if err != nil {
		return err
	}
	for _, r := range last {
		r.Remove()
	}
	s.runs = append(s.runs[:first], leveledRun{run, last[0].level + 1})
	return nil
}

// cursors returns what reads runs from their beginnings.
func (s *runSet[T]) cursors(runs []leveledRun) ([]cursor[T], error) {
	var all []cursor[T]
	for _, r := range runs {
		c, err := readRun(r.Run, s.codec)
		if err != nil {
			for _, c := range all {
				c.stop()
			}
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// merged yields the records of all runs in order, among equals before those of the given
// cursors, which are sorted too. It stops them.
func (s *runSet[T]) merged(rest ...cursor[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		cursors, err := s.cursors(s.runs)
		if !ends(yield, err) {
			merged(s.tc, append(cursors, rest...), s.by)(yield)
		}
	}
}

// close removes the runs.
func (s *runSet[T]) close() {
	for _, r := range s.runs {
		r.Remove()
	}
}
