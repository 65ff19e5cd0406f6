package rdd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hibana-engine/hibana/rdd/files"
)

// CheckpointAs is [RDD.Checkpoint] under a name and a number of the program's choice, such as
// that of a round, by which [LastCheckpoint] finds it in a later run of the program: so one
// that was killed goes on from there. The directory is NAME/NUMBER below that which
// [Context.SetCheckpointDir] has given.
//
// Numbers are 1 or more and ascend: a name keeps its two newest checkpoints, older ones are
// removed, and one that is there under the number is replaced. So RDDs may be made of what the
// last two calls returned, and of nothing before.
func (r *RDD[T]) CheckpointAs(name string, number int) (*RDD[T], error) {
	o, err := begin(r, "checkpointAs")
	if err != nil {
		return nil, err
	}
	if err := checkpointName(name); err != nil {
		return nil, o.error(err)
	}
	if number < 1 {
		return nil, o.error(fmt.Errorf("%w: checkpoint %d of %q: numbers begin with 1", ErrArgument, number, name))
	}
	written, err := checkpointAt(o, r, true, func(dir files.Address, _ string) files.Address {
		return dir.Join(name).Join(strconv.Itoa(number))
	})
	if err != nil {
		return nil, err
	}
	_, err = onFiles(o, func(ctx context.Context) (bool, error) {
		removeOld(ctx, o.sc.checkpointDir, name, number)
		return true, nil
	})
	return written, err
}

// checkpointName returns why a name can't be one of checkpoints.
func checkpointName(name string) error {
	if name == "" || strings.ContainsAny(name, `/\`) || name[0] == '.' || name[0] == '_' {
		return fmt.Errorf("%w: checkpoints can't be called %q: a name is that of a directory, without a slash, and begins with neither _ nor a point", ErrArgument, name)
	}
	return nil
}

// removeOld removes the checkpoints of a name but for the one with the given number, the
// whole one before it and what is newer. What can't be removed now is with the next
// checkpoint, if it can be then, and keeps no other one.
func removeOld(ctx context.Context, dir, name string, number int) {
	_ = withCheckpoints(ctx, dir, name, func(b *files.Bucket, at files.Address, numbers []int) error {
		older, _ := slices.BinarySearch(numbers, number)
		var failed error
		hasWhole := false
		for _, n := range slices.Backward(numbers[:older]) {
			o := files.OutputIn(b, at.Join(strconv.Itoa(n)), "")
			whole, err := !hasWhole, error(nil)
			if whole {
				whole, err = isWhole(ctx, o)
			}
			switch {
			case err != nil: // it may be whole
			case whole:
				hasWhole = true
			default:
				err = o.Remove(ctx)
			}
			failed = errors.Join(failed, err)
		}
		return failed
	})
}

// isWhole reports whether a checkpoint was written to its end.
func isWhole(ctx context.Context, o *files.Output) (bool, error) {
	_, err := o.Manifest(ctx)
	if errors.Is(err, files.ErrUnfinished) || errors.Is(err, files.ErrMissing) {
		return false, nil
	}
	return err == nil, err
}

// withCheckpoints calls f with the bucket and the directory of a name, and the numbers that
// are there, ascending, also of those that aren't whole.
func withCheckpoints(ctx context.Context, dir, name string, f func(b *files.Bucket, at files.Address, numbers []int) error) (err error) {
	a, err := files.Parse(dir)
	if err != nil {
		return err
	}
	b, err := a.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	at := a.Join(name)
	names, err := b.Dirs(ctx, at.Key)
	if err != nil {
		return err
	}
	var numbers []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n > 0 && strconv.Itoa(n) == name {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return f(b, at, numbers)
}

// LastCheckpoint returns what an earlier run of the program wrote last with
// [RDD.CheckpointAs] under a name, and its number; a nil RDD and 0 if there is none, as in
// the first run. One that isn't whole, since the program was killed while it was written,
// doesn't count; one whose manifest is damaged is passed over for the one before. A damaged
// part fails the task that reads it, with what to remove so that the program goes on from the
// checkpoint before. The errors are those of [FromCheckpoint].
//
//	ranks, round, err := rdd.LastCheckpoint[Rank](sc, "ranks")
//	if err != nil {
//		return err
//	}
//	if round == 0 {
//		ranks = first(sc)
//	}
//	for round < rounds {
//		round++
//		ranks = next(ranks)
//		if round%10 > 0 {
//			continue
//		}
//		if ranks, err = ranks.CheckpointAs("ranks", round); err != nil {
//			return err
//		}
//	}
//
// What is there is gone on from, also if the program's flags or its input are others now: give
// each computation a directory of its own, and remove it to begin anew.
func LastCheckpoint[T any](sc *Context, name string) (*RDD[T], int, error) {
	o := sc.op("lastCheckpoint")
	if err := checkpointName(name); err != nil {
		return nil, 0, o.error(err)
	}
	if err := o.checkpointDir(); err != nil {
		return nil, 0, err
	}
	found, err := onFiles(o, func(ctx context.Context) (last foundCheckpoint, err error) {
		var damaged error
		err = withCheckpoints(ctx, sc.checkpointDir, name, func(b *files.Bucket, at files.Address, numbers []int) error {
			for _, n := range slices.Backward(numbers) {
				last, err = readCheckpoint(ctx, b, at.Join(strconv.Itoa(n)), typeName[T]())
				switch {
				case errors.Is(err, files.ErrDamaged):
					damaged = fmt.Errorf("%w; no checkpoint before it is whole: remove %s to begin anew", err, at.Join(strconv.Itoa(n)))
				case !errors.Is(err, files.ErrUnfinished) && !errors.Is(err, files.ErrMissing):
					last.Number = n
					last.Remedy = fmt.Sprintf("remove %s: the program then goes on from the checkpoint before it, or begins anew", at.Join(strconv.Itoa(n)))
					return err
				}
			}
			last = foundCheckpoint{}
			return damaged
		})
		return last, err
	})
	if err != nil || found.Number == 0 {
		return nil, 0, err
	}
	return inCheckpoint[T](o, found), found.Number, nil
}
