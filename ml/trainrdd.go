package ml

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/serializers/npz"
	"github.com/hibana-engine/hibana/rdd"
)

// TrainRDD is an action that trains a network on an RDD and returns its weights as an npz.
// It begins with those in npz and averages parameters: in each round each partition goes on
// from the weights so far with step, which is given the network, the round (from 0) and the
// partition's rows in their order, and changes the weights, as by an optimizer's updates; the
// next round begins with the mean of what came of it, weighted by rows. With one partition
// that is plain training.
//
// step runs on executors, and a partition's rows must fit into memory; cache the RDD
// if it is dear to compute. The weights are all that is kept between rounds: an
// optimizer with a state of its own, such as Adam, starts anew in each. step must depend
// on its arguments alone.
func TrainRDD[T any](r *rdd.RDD[T], build func() Network, weights []byte, rounds int, step func(net Network, round int, rows []T) error) ([]byte, error) {
	const op = "ml.TrainRDD"
	switch sc := r.Context(); {
	case build == nil || step == nil:
		failAt(sc, op, rdd.ErrNilFunction)
	case rounds < 1:
		failAt(sc, op, fmt.Errorf("%d rounds, there must be at least 1", rounds))
	}
	for round := range max(rounds, 1) {
		next, err := trainRound(r, build, weights, round, step)
		if err != nil {
			return nil, err
		}
		weights = next
	}
	return weights, nil
}

// taught is what a partition has made of the weights.
type taught struct {
	Rows int64  `msgpack:"n"`
	File []byte `msgpack:"f"`
}

// trainRound runs one round. An RDD without rows leaves the weights as they are.
func trainRound[T any](r *rdd.RDD[T], build func() Network, weights []byte, round int, step func(Network, int, []T) error) ([]byte, error) {
	parts := rdd.TryMapPartitions(r, func(_ rdd.Part, in iter.Seq2[T, error]) iter.Seq2[[]taught, error] {
		return func(yield func([]taught, error) bool) {
			rows, err := collect(in)
			if err == nil && len(rows) == 0 {
				return
			}
			var file []byte
			if err == nil {
				file, err = trained(build, weights, func(net Network) error { return step(net, round, rows) })
			}
			yield([]taught{{int64(len(rows)), file}}, err)
		}
	})
	all := rdd.Reduced(parts, func(a, b []taught) []taught { return append(a, b...) })
	means, err := rdd.Collect(rdd.TryMap(all, mean))
	if err != nil || len(means) == 0 {
		return weights, err
	}
	return means[0], nil
}

// collect returns a partition's rows.
func collect[T any](in iter.Seq2[T, error]) (rows []T, err error) {
	for v, err := range in {
		if err != nil {
			return nil, err
		}
		rows = append(rows, v)
	}
	return rows, nil
}

// trained returns the file of a network that step has taught.
func trained(build func() Network, weights []byte, step func(net Network) error) ([]byte, error) {
	net := build()
	if net == nil {
		return nil, errors.New("the build function of the network returned nil")
	}
	if err := serializers.LoadNPZBytes(weights, net); err != nil {
		return nil, unusable(weights, err)
	}
	if err := step(net); err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	var out bytes.Buffer
	if err := serializers.WriteNPZ(&out, net); err != nil {
		return nil, fmt.Errorf("saving what was learned: %w", err)
	}
	return out.Bytes(), nil
}

// mean averages weights. What isn't a float, such as a count, is that of the first.
func mean(all []taught) ([]byte, error) {
	if len(all) == 1 {
		return all[0].File, nil
	}
	var total int64
	for _, t := range all {
		total += t.Rows
	}
	var first []npz.Entry
	var sums [][]float64
	for i, t := range all {
		entries, err := npz.Read(bytes.NewReader(t.File), int64(len(t.File)), npz.Limits{})
		if err != nil {
			return nil, fmt.Errorf("averaging weights: %w", err)
		}
		if i == 0 {
			first, sums = entries, make([][]float64, len(entries))
		}
		if err := addWeighted(sums, first, entries, float64(t.Rows)/float64(total)); err != nil {
			return nil, err
		}
	}
	for i, sum := range sums {
		switch first[i].Array.Type {
		case npz.Float32:
			narrow := make([]float32, len(sum))
			for j, v := range sum {
				narrow[j] = float32(v)
			}
			first[i].Array.Data = narrow
		case npz.Float64:
			first[i].Array.Data = sum
		}
	}
	var out bytes.Buffer
	if err := npz.Write(&out, first); err != nil {
		return nil, fmt.Errorf("averaging weights: %w", err)
	}
	return out.Bytes(), nil
}

// addWeighted adds the floats of a network to sums, which begin empty.
func addWeighted(sums [][]float64, first, entries []npz.Entry, weight float64) error {
	if len(entries) != len(first) {
		return fmt.Errorf("%w: partitions have made networks of %d and of %d arrays", ErrModel, len(first), len(entries))
	}
	for i, e := range entries {
		if f := first[i]; e.Name != f.Name || e.Array.Type != f.Array.Type || !slices.Equal(e.Array.Shape, f.Array.Shape) {
			return fmt.Errorf("%w: partitions have made networks that differ: %s %v, and %s %v", ErrModel, f.Name, f.Array.Shape, e.Name, e.Array.Shape)
		}
		if t := e.Array.Type; t != npz.Float32 && t != npz.Float64 {
			continue
		}
		values, err := e.Array.Float64s()
		if err != nil {
			return fmt.Errorf("averaging weights: %s: %w", e.Name, err)
		}
		if sums[i] == nil {
			sums[i] = make([]float64, len(values))
		}
		for j, v := range values {
			sums[i][j] += weight * v
		}
	}
	return nil
}
