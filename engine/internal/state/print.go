package state

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/rdd/keyed"
)

// line is one key of a state as it is printed.
type line struct {
	Key     json.RawMessage `json:"key"`
	Value   json.RawMessage `json:"value"`
	Changed time.Time       `json:"changed"` // time of the batch that set it
}

// Print writes the entries of a checkpoint as lines of JSON, those of one key if key
// isn't "": which is the key as it is printed, or a text without its quotes. The program's
// types aren't needed: keys and values describe themselves.
func (s *Store) Print(ctx context.Context, w io.Writer, m *Manifest, key string) error {
	out := bufio.NewWriter(w)
	for _, p := range m.Partitions {
		seen := make(map[string]bool) // keys in the deltas that were read
		for i, f := range slices.Backward(p.Files) {
			if err := s.printFile(ctx, out, m.State, f, key, seen, i > 0); err != nil {
				return fmt.Errorf("%s: %w", s.Where(m.State, f.Name), err)
			}
		}
	}
	return out.Flush()
}

// printFile prints what a file says of keys that weren't seen in later ones, and notes
// which it was of, if others are before it.
func (s *Store) printFile(ctx context.Context, w io.Writer, state string, f File, key string, seen map[string]bool, note bool) (err error) {
	in, err := s.Open(ctx, state, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	r, err := keyed.NewReader(bufio.NewReader(in))
	if err != nil {
		return err
	}
	for {
		c, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if seen[string(c.Key)] {
			continue
		}
		if note {
			seen[string(c.Key)] = true
		}
		if c.Removed {
			continue
		}
		if err := printEntry(w, c, key); err != nil {
			return err
		}
	}
}

// printEntry prints an entry, if it is of the key.
func printEntry(w io.Writer, c *keyed.Change, key string) error {
	k := toJSON(c.Key)
	if key != "" && string(k) != key && string(k) != quoted(key) {
		return nil
	}
	b, err := json.Marshal(line{Key: k, Value: toJSON(c.Value), Changed: time.Unix(0, c.Stamp).UTC()})
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// quoted returns a text as JSON.
func quoted(s string) string {
	b, _ := json.Marshal(s) // a text always can
	return string(b)
}
