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

	"github.com/hibana-engine/hibana/engine/internal/variables"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

// line is one key of a state as it is printed.
type line struct {
	Key     json.RawMessage `json:"key"`
	Name    string          `json:"name,omitempty"`  // of a variable, if a key has several
	Entry   json.RawMessage `json:"entry,omitempty"` // number of a list's element, key of a map
	Timer   *time.Time      `json:"timer,omitempty"` // what is set, in place of a value
	Value   json.RawMessage `json:"value,omitempty"`
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
func (s *Store) printFile(ctx context.Context, w io.Writer, state string, f File, key string, seen map[string]bool, note bool) error {
	return s.readFile(ctx, state, f, func(h keyed.Header, c *keyed.Change) error {
		if seen[string(c.Key)] {
			return nil
		}
		if note {
			seen[string(c.Key)] = true
		}
		if c.Removed {
			return nil
		}
		l, ok, err := lineOf(c, h.Value == variables.Layout)
		if err == nil && ok {
			err = l.print(w, key)
		}
		return err
	})
}

// readFile calls each with the changes that a file holds.
func (s *Store) readFile(ctx context.Context, state string, f File, each func(keyed.Header, *keyed.Change) error) (err error) {
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
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = each(r.Header(), c)
		}
		if err != nil {
			return err
		}
	}
}

// lineOf returns the line of an entry, which is a row of a variable or a key with its
// value. It reports false for one that says nothing.
func lineOf(c *keyed.Change, ofVariables bool) (l line, ok bool, err error) {
	l.Changed = time.Unix(0, c.Stamp).UTC()
	if !ofVariables {
		l.Key, l.Value = toJSON(c.Key), toJSON(c.Value)
		return l, true, nil
	}
	cell, ok, err := variables.Parse(c.Key, c.Value)
	if !ok || err != nil {
		return l, false, err
	}
	l.Key, l.Name = toJSON(cell.Key), cell.Name
	if !cell.Set.IsZero() {
		l.Changed = cell.Set.UTC()
	}
	if cell.Entry != nil {
		l.Entry = toJSON(cell.Entry)
	}
	if cell.Kind == variables.Timers {
		at := cell.Timer.UTC()
		l.Timer, l.Entry = &at, nil
	} else {
		l.Value = toJSON(cell.Value)
	}
	return l, true, nil
}

// print prints a line, if it is of the key.
func (l line) print(w io.Writer, key string) error {
	if k := string(l.Key); key != "" && k != key && k != quoted(key) {
		return nil
	}
	b, err := json.Marshal(l)
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
