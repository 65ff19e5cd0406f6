package serializers

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/ml/serializers/npz"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrMissing says that the file lacks a value that the object has.
	ErrMissing = errors.New("missing from the file")
	// ErrExtra says that the file has a value that the object lacks.
	ErrExtra = errors.New("in the file only")
	// ErrEmpty says that an object has no values to save.
	ErrEmpty = errors.New("there is nothing to save: the object has no parameter and no child; links.Add puts a link into a network")
	// ErrShape says that a value has another shape in the file.
	ErrShape = errors.New("shape in the file does not fit")
	// ErrType says that a value has another type in the file.
	ErrType = errors.New("type in the file does not fit")
)

// Stateful is an object with values to save. Serialize presents each of them
// to s under its name; it is called to save and to load, and must not change
// the object itself except in functions given to s.
type Stateful interface {
	Serialize(s *Serializer)
}

// Serializer visits the values of an object under one path. When it saves, it
// collects them; when it loads, it checks them against the file and writes
// them back once everything was checked.
type Serializer struct {
	prefix string
	file   *file
}

// file is what all Serializers of one save or load share.
type file struct {
	saving  bool
	entries []npz.Entry       // what was collected, when saving
	archive *npz.Archive      // what the file holds, when loading
	keys    map[string]string // the archive's names by those that objects use
	used    map[string]bool   // the keys that were asked for
	then    []func() error    // what to do once everything was checked
	errs    []error
}

// Saving tells whether values are collected; otherwise they are loaded.
func (s *Serializer) Saving() bool { return s.file.saving }

// Path is the full path of a name.
func (s *Serializer) Path(name string) string { return s.prefix + name }

// Child gives the Serializer for the values under name, a part of the path.
func (s *Serializer) Child(name string) *Serializer {
	return &Serializer{prefix: s.prefix + name + "/", file: s.file}
}

// Fail reports that the object and the file don't fit. The whole save or load
// fails with err, and nothing is changed.
func (s *Serializer) Fail(err error) { s.file.errs = append(s.file.errs, err) }

// Then has f called at the end of a load, after every value was checked, in
// the order of the calls. It is ignored when saving.
func (s *Serializer) Then(f func() error) {
	if !s.file.saving {
		s.file.then = append(s.file.then, f)
	}
}

// Has tells whether the file that is loaded holds name or anything under it.
func (s *Serializer) Has(name string) bool {
	if s.file.saving {
		return false
	}
	path := s.prefix + name
	if _, ok := s.file.keys[path]; ok {
		return true
	}
	for key := range s.file.keys {
		if strings.HasPrefix(key, path+"/") {
			return true
		}
	}
	return false
}

// Skip marks everything in the file under name as known, so that it doesn't
// count as extra.
func (s *Serializer) Skip(name string) {
	for key := range s.file.keys {
		if key == s.prefix+name || strings.HasPrefix(key, s.prefix+name+"/") {
			s.file.used[key] = true
		}
	}
}

// Header gives the type and the shape of the array that the file holds under name,
// without its elements, to be checked before Array decodes them. A missing one is
// reported and gives false.
func (s *Serializer) Header(name string) (npz.Array, bool) {
	return s.read(name, s.file.archive.Header)
}

// Array gives the array that the file holds under name, for values whose shape
// or kind only the file knows. A missing one is reported and gives false.
func (s *Serializer) Array(name string) (npz.Array, bool) { return s.read(name, s.file.archive.Array) }

func (s *Serializer) read(name string, from func(string) (npz.Array, error)) (npz.Array, bool) {
	path := s.prefix + name
	full, ok := s.file.keys[path]
	if !ok {
		s.Fail(fmt.Errorf("%s: %w", path, ErrMissing))
		return npz.Array{}, false
	}
	s.file.used[path] = true
	a, err := from(full)
	if err != nil {
		s.Fail(err)
		return a, false
	}
	if a.Type == npz.Object {
		s.Fail(fmt.Errorf("%s: %w: a pickled Python object (Chainer writes one for a parameter without a shape)", path, ErrType))
		return a, false
	}
	return a, true
}

// Put adds an array when saving.
func (s *Serializer) Put(name string, a npz.Array) {
	s.file.entries = append(s.file.entries, npz.Entry{Name: s.prefix + name, Array: a})
}

// Float32s visits an array of the given shape. Loading copies into data.
func (s *Serializer) Float32s(name string, shape []int, data []float32) {
	if s.file.saving {
		a, err := npz.NewArray(shape, data)
		if err != nil {
			s.Fail(fmt.Errorf("%s: %w", s.prefix+name, err))
			return
		}
		s.Put(name, a)
		return
	}
	h, ok := s.Header(name)
	if !ok {
		return
	}
	if !slices.Equal(h.Shape, shape) {
		s.Fail(fmt.Errorf("%s: %w: expected %s, found %s", s.prefix+name, ErrShape, formatShape(shape), formatShape(h.Shape)))
		return
	}
	a, ok := s.Array(name)
	if !ok {
		return
	}
	from, err := a.Float32s()
	if err != nil {
		s.Fail(fmt.Errorf("%s: %w: %w", s.prefix+name, ErrType, err))
		return
	}
	s.Then(func() error { copy(data, from); return nil })
}

// Int visits an integer, kept as Chainer does: a 0-d int64.
func (s *Serializer) Int(name string, v *int) {
	if s.file.saving {
		s.Put(name, npz.Scalar(int64(*v)))
		return
	}
	loadOne(s, name, npz.Array.Int, func(n int64) { *v = int(n) })
}

// Float visits a number, kept as a 0-d float64.
func (s *Serializer) Float(name string, v *float64) {
	if s.file.saving {
		s.Put(name, npz.Scalar(*v))
		return
	}
	loadOne(s, name, npz.Array.Float, func(f float64) { *v = f })
}

// Bool visits a truth value, kept as a 0-d bool.
func (s *Serializer) Bool(name string, v *bool) {
	if s.file.saving {
		s.Put(name, npz.Scalar(*v))
		return
	}
	loadOne(s, name, npz.Array.Int, func(n int64) { *v = n != 0 })
}

// Text visits a string, kept as a 0-d array of Unicode characters.
func (s *Serializer) Text(name string, v *string) {
	if s.file.saving {
		s.Put(name, npz.Scalar(*v))
		return
	}
	loadOne(s, name, npz.Array.Text, func(t string) { *v = t })
}

// Ints visits a list of integers of any length, kept as a 1-d int64 array.
func (s *Serializer) Ints(name string, v *[]int) {
	if s.file.saving {
		wide := make([]int64, len(*v))
		for i, n := range *v {
			wide[i] = int64(n)
		}
		s.Put(name, npz.Array{Type: npz.Int64, Shape: []int{len(wide)}, Data: wide})
		return
	}
	load(s, name, npz.Array.Int64s, func(wide []int64) {
		*v = make([]int, len(wide))
		for i, n := range wide {
			(*v)[i] = int(n)
		}
	})
}

// loadOne is load for arrays of one element, which is checked before they are read.
func loadOne[T any](s *Serializer, name string, get func(npz.Array) (T, error), set func(T)) {
	h, ok := s.Header(name)
	if !ok {
		return
	}
	if h.Len() != 1 {
		s.Fail(fmt.Errorf("%s: %w: shape %s where one value is wanted", s.prefix+name, ErrType, formatShape(h.Shape)))
		return
	}
	load(s, name, get, set)
}

// load reads one value now and assigns it once everything was checked.
func load[T any](s *Serializer, name string, get func(npz.Array) (T, error), set func(T)) {
	a, ok := s.Array(name)
	if !ok {
		return
	}
	v, err := get(a)
	if err != nil {
		s.Fail(fmt.Errorf("%s: %w: %w", s.prefix+name, ErrType, err))
		return
	}
	s.Then(func() error { set(v); return nil })
}

func formatShape(shape []int) string {
	text := make([]string, len(shape))
	for i, d := range shape {
		text[i] = fmt.Sprint(d)
	}
	return "(" + strings.Join(text, ", ") + ")"
}
