package iterators

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/hibana-engine/hibana/ml/datasets"
	"github.com/hibana-engine/hibana/ml/serializers"
)

// Iterator gives mini-batches of examples. It is used by one goroutine.
type Iterator[T any] interface {
	serializers.Stateful
	// Next gives the next batch, or io.EOF when there is none. The slice is
	// reused by the call after.
	Next() ([]T, error)
	// Epoch is the number of finished passes over the data set.
	Epoch() int
	// EpochDetail is Epoch plus the part of the pass under way.
	EpochDetail() float64
	// PreviousEpochDetail is what EpochDetail was before the last batch, or -1
	// before the second.
	PreviousEpochDetail() float64
	// IsNewEpoch tells whether the last batch finished a pass.
	IsNewEpoch() bool
	// Reset goes back to the start of the first pass.
	Reset()
}

// Option changes how Serial walks.
type Option func(*settings)

type settings struct {
	once    bool
	ordered bool
	seed    uint64
	workers int
}

// Once makes one pass, in the data set's order, with a last batch that may be
// smaller: what a test needs.
func Once() Option { return func(s *settings) { s.once, s.ordered = true, true } }

// Ordered keeps the data set's order instead of shuffling each pass.
func Ordered() Option { return func(s *settings) { s.ordered = true } }

// Seed determines the order of every pass (default 0).
func Seed(seed uint64) Option { return func(s *settings) { s.seed = seed } }

// Workers reads the examples of a batch with n goroutines, which pays when
// reading means decoding images. The batches are the same.
func Workers(n int) Option { return func(s *settings) { s.workers = n } }

// SerialIterator is made by Serial.
type SerialIterator[T any] struct {
	dataset   datasets.Dataset[T]
	batchSize int
	settings  settings

	position   int // examples of the pass under way already given
	epoch      int
	isNewEpoch bool
	previous   float64
	order      []int // of the pass under way; nil when ordered
	batch      []T
	indices    []place
}

// place is where an example of a batch comes from.
type place struct{ index, pass int }

// Serial iterates over d in batches of batchSize examples, without end and
// shuffled anew in every pass, unless options say otherwise. All batches are
// full: one that meets the end of a pass is filled up from the next. The order
// of pass n depends on the seed and n alone.
func Serial[T any](d datasets.Dataset[T], batchSize int, opts ...Option) *SerialIterator[T] {
	it := &SerialIterator[T]{dataset: d, batchSize: batchSize, previous: -1}
	for _, o := range opts {
		o(&it.settings)
	}
	it.shuffle()
	return it
}

// Reset goes back to the start of the first pass.
func (it *SerialIterator[T]) Reset() {
	it.position, it.epoch, it.isNewEpoch, it.previous = 0, 0, false, -1
	it.shuffle()
}

// shuffle draws the order of pass it.epoch.
func (it *SerialIterator[T]) shuffle() {
	if !it.settings.ordered {
		it.order = rand.New(rand.NewPCG(it.settings.seed, uint64(it.epoch))).Perm(it.dataset.Len())
	}
}

// Epoch is the number of finished passes.
func (it *SerialIterator[T]) Epoch() int { return it.epoch }

// EpochDetail is Epoch plus the part of the pass under way.
func (it *SerialIterator[T]) EpochDetail() float64 {
	return float64(it.epoch) + float64(it.position)/float64(max(it.dataset.Len(), 1))
}

// PreviousEpochDetail is what EpochDetail was before the last batch.
func (it *SerialIterator[T]) PreviousEpochDetail() float64 { return it.previous }

// IsNewEpoch tells whether the last batch finished a pass.
func (it *SerialIterator[T]) IsNewEpoch() bool { return it.isNewEpoch }

// Next gives the next batch, or io.EOF after the only pass of Once.
func (it *SerialIterator[T]) Next() ([]T, error) {
	if it.batchSize < 1 || it.dataset.Len() < 1 {
		return nil, fmt.Errorf("iterating in batches of %d over %d examples: both must be positive", it.batchSize, it.dataset.Len())
	}
	if it.settings.once && it.epoch > 0 {
		return nil, io.EOF
	}
	it.advance()
	if cap(it.batch) < len(it.indices) {
		it.batch = make([]T, len(it.indices))
	}
	it.batch = it.batch[:len(it.indices)]
	if it.settings.workers > 1 {
		return it.batch, it.readParallel()
	}
	for k := range it.indices {
		if err := it.read(k); err != nil {
			return nil, err
		}
	}
	return it.batch, nil
}

// read fills element k of the batch.
func (it *SerialIterator[T]) read(k int) (err error) {
	p := it.indices[k]
	if it.batch[k], err = datasets.AtPass(it.dataset, p.index, p.pass); err != nil {
		return fmt.Errorf("reading example %d: %w", p.index, err)
	}
	return nil
}

// advance lists the indices of the next batch and moves the place past them.
func (it *SerialIterator[T]) advance() {
	n := it.dataset.Len()
	it.previous, it.isNewEpoch, it.indices = it.EpochDetail(), false, it.indices[:0]
	for len(it.indices) < it.batchSize {
		i := it.position
		if it.order != nil {
			i = it.order[i]
		}
		it.indices = append(it.indices, place{i, it.epoch})
		if it.position++; it.position == n {
			it.position, it.isNewEpoch = 0, true
			it.epoch++
			if it.settings.once {
				return
			}
			it.shuffle()
		}
	}
}

// readParallel fills it.batch with several goroutines and waits for them.
func (it *SerialIterator[T]) readParallel() error {
	workers := min(it.settings.workers, len(it.indices))
	errs := make([]error, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for k := w; k < len(it.indices); k += workers {
				if errs[w] = it.read(k); errs[w] != nil {
					return
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// Serialize visits the iterator's place under the names that Chainer's
// SerialIterator uses.
func (it *SerialIterator[T]) Serialize(s *serializers.Serializer) {
	s.Int("current_position", &it.position)
	s.Int("epoch", &it.epoch)
	s.Bool("is_new_epoch", &it.isNewEpoch)
	s.Float("previous_epoch_detail", &it.previous)
	if it.order == nil {
		s.Skip("order")
		return
	}
	if s.Saving() {
		s.Ints("order", &it.order)
		return
	}
	order, err := loadedOrder(s, it.dataset.Len())
	if errors.Is(err, serializers.ErrMissing) {
		return // Array has reported it
	}
	if err != nil {
		s.Fail(fmt.Errorf("%s: %w", s.Path("order"), err))
		return
	}
	s.Then(func() error {
		it.position = min(max(it.position, 0), len(order)-1)
		it.order = order
		return nil
	})
}

// loadedOrder reads the order of the pass under way and tells whether it fits a
// data set of n examples.
func loadedOrder(s *serializers.Serializer, n int) ([]int, error) {
	h, ok := s.Header("order")
	if !ok {
		return nil, serializers.ErrMissing
	}
	if h.Len() != n {
		return nil, fmt.Errorf("%w: it orders %d examples, the data set has %d", serializers.ErrShape, h.Len(), n)
	}
	a, ok := s.Array("order")
	if !ok {
		return nil, serializers.ErrMissing
	}
	wide, err := a.Int64s()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", serializers.ErrType, err)
	}
	if len(wide) != n {
		return nil, fmt.Errorf("%w: it orders %d examples, the data set has %d", serializers.ErrShape, len(wide), n)
	}
	order, seen := make([]int, n), make([]bool, n)
	for k, i := range wide {
		if i < 0 || i >= int64(n) || seen[i] {
			return nil, fmt.Errorf("%w: it is no permutation", serializers.ErrType)
		}
		order[k], seen[i] = int(i), true
	}
	return order, nil
}
