package modelstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
)

// historyFormat is the version of History's encoding.
const historyFormat = 1

// History is which versions of a model were current.
type History struct {
	Format  int      `msgpack:"v"`
	Current string   `msgpack:"cur"`
	Earlier []string `msgpack:"old"` // oldest first: what a rollback goes back to
	// Left are the versions that a rollback left, in the order in which it did:
	// none of them is earlier than Current, but each may be asked for.
	Left []string `msgpack:"left,omitempty"`
	// Carried is the version that the program carried, so that one with another
	// file is noticed.
	Carried string `msgpack:"own"`
	// Seq is the batch that Current was trained on, 0 if it wasn't.
	Seq uint64 `msgpack:"seq"`
}

// maxHistory bounds a history's bytes.
const maxHistory = 1 << 20

// historyKept is how many records of a history stay.
const historyKept = 2

// Journal writes the history of one model for one driver. One goroutine uses it
// at a time.
type Journal struct {
	store  *Store
	model  string
	epoch  uint64
	number uint64
	names  []string // of the records that are there, ascending
}

// OpenJournal returns the journal of a model for the driver of the given epoch,
// and what its newest record says; nil if there is none.
func (s *Store) OpenJournal(ctx context.Context, model string, epoch uint64) (*Journal, *History, error) {
	j := &Journal{store: s, model: model, epoch: epoch}
	fail := func(err error) (*Journal, *History, error) {
		return nil, nil, fmt.Errorf("reading the history of model %s in %s: %w", model, s, err)
	}
	var err error
	if j.names, err = s.keys(ctx, j.key("")); err != nil {
		return fail(err)
	}
	if len(j.names) == 0 {
		return j, nil, nil
	}
	b, err := s.bucket.Read(ctx, j.key(j.names[len(j.names)-1]), maxHistory)
	if err != nil {
		return fail(err)
	}
	h, err := decodeHistory(b)
	if err != nil {
		return fail(err)
	}
	return j, h, nil
}

// decodeHistory reads what Write wrote.
func decodeHistory(b []byte) (*History, error) {
	var h History
	if err := msgpack.Unmarshal(b, &h); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if h.Format != historyFormat {
		return nil, fmt.Errorf("%w: a record of format %d, this program knows %d", ErrDamaged, h.Format, historyFormat)
	}
	for _, d := range slices.Concat(h.Earlier, h.Left, []string{h.Current, h.Carried}) {
		if err := checkDigest(d); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return &h, nil
}

func (j *Journal) key(name string) string { return j.store.prefix + j.model + "/history/" + name }

// Write adds a record. When it returns nil the record is what OpenJournal
// returns next. Old records are removed.
func (j *Journal) Write(ctx context.Context, h History) error {
	h.Format = historyFormat
	b, err := msgpack.Marshal(&h)
	if err != nil {
		return err
	}
	j.number++
	name := fmt.Sprintf("%016x-%016x", j.epoch, j.number)
	if err := j.store.bucket.Write(ctx, j.key(name), b); err != nil {
		return fmt.Errorf("writing the history of model %s to %s: %w", j.model, j.store, err)
	}
	j.names = append(j.names, name)
	for len(j.names) > historyKept {
		// A record that stays behind is found and removed by the next driver.
		if err := j.store.bucket.Remove(ctx, j.key(j.names[0])); err != nil && ctx.Err() != nil {
			return err
		}
		j.names = j.names[1:]
	}
	return nil
}
