package plan

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Stored is a type of what a state holds.
type Stored struct {
	Of   string // the variable's name, "" for a state that is one value
	What string // "key" for the type of keys, "" for that of values
	Type reflect.Type
}

// fields returns the fields of what the state holds; with aliases those, too, under whose
// names they are read.
func (s *State) fields(aliases bool) []LoggedField {
	var all []LoggedField
	for _, stored := range s.Stored {
		for _, f := range encoding.Fields(stored.Type, aliases) {
			all = append(all, LoggedField{stored.Of, stored.What + f.Path, f.Kind})
		}
	}
	return all
}

// called names a field for people.
func (f *LoggedField) called() string {
	name := cmp.Or(strings.TrimPrefix(f.Name, "."), "value")
	if f.Of != "" {
		name += " of " + f.Of
	}
	return name
}

// below reports whether the field is a part of another one.
func (f *LoggedField) below(other *LoggedField) bool {
	rest, is := strings.CutPrefix(f.Name, other.Name)
	return is && f.Of == other.Of && rest != "" && strings.ContainsRune(".[{", rune(rest[0]))
}

// fields compares what the keys of a state hold with what the program's type has, and
// reports whether all of it can be read, for what the log knows: those of earlier versions
// know nothing of fields.
func (u *Upgrade) fields(s *State, was *LoggedState) bool {
	lost, wrong := s.changed(was)
	if len(wrong) > 0 {
		u.Dropped = append(u.Dropped, wrong...)
		return false
	}
	for _, f := range lost {
		u.Lost = append(u.Lost, fmt.Sprintf("field %s of state %s: the program's type has none of the name, so what keys hold of it goes as they are read; a field that was renamed needs the old name as its msgpack tag", f.called(), s.Name))
	}
	return true
}

// changed returns the fields that the type of a state lacks, without those below them, and
// why others can't be read. Variables that are gone, or of another type, are told by
// themselves.
func (s *State) changed(was *LoggedState) (lost []LoggedField, wrong []string) {
	if len(was.Fields) == 0 {
		return nil, nil
	}
	reads := s.fields(true)
	for _, f := range was.Fields {
		if f.Of != "" && !sameVariable(s.Holds, was.Holds, f.Of) {
			continue
		}
		at := slices.IndexFunc(reads, func(r LoggedField) bool { return r.Of == f.Of && r.Name == f.Name })
		switch {
		case at < 0 && !slices.ContainsFunc(lost, func(l LoggedField) bool { return f.below(&l) }):
			lost = append(lost, f)
		case at >= 0 && !encoding.Reads(f.Kind, reads[at].Kind):
			wrong = append(wrong, fmt.Sprintf("state %s: its %s is %s, the program wants %s; give the new one another name to keep both apart", s.Name, f.called(), f.Kind, reads[at].Kind))
		}
	}
	return lost, wrong
}

// sameVariable reports whether the variable of a name is the same in both.
func sameVariable(a, b []LoggedVariable, name string) bool {
	at := slices.IndexFunc(a, func(v LoggedVariable) bool { return v.Name == name })
	return at >= 0 && slices.Contains(b, a[at])
}

// Readable reports whether the states of a program of the log's shape can read what keys
// hold. before is nil for a log that says nothing of it.
func (g *Graph) Readable(before *Numbers) bool {
	for i, s := range g.States {
		if before == nil {
			break
		}
		if _, wrong := s.changed(&before.States[i]); len(wrong) > 0 {
			return false
		}
	}
	return true
}
