package encoding

import (
	"fmt"
	"reflect"
	"slices"
)

// Field is a part of a type that its encoding has under a name, in a struct or below one.
type Field struct {
	Path string // names from the outermost on, with a point before each; [] and {} are a list's elements, a map's values
	Kind string // what is written, such as "an integer": another kind can't be read
}

// Bounds of what Fields says of a type: what lies deeper, or behind them, is left out.
const (
	maxFields     = 512
	maxFieldDepth = 8
)

// Fields returns the fields of a type that For encodes, those in its fields among them. With
// aliases it has the other names, too, under which they are read. A type without structs has
// one field, itself.
func Fields(t reflect.Type, aliases bool) []Field {
	f := fieldLister{compiler: compiler{made: make(map[visit]*typeCodec), zone: newZones()}, aliases: aliases}
	f.list(t, "", 0)
	return f.fields
}

// fieldLister collects the fields of a type.
type fieldLister struct {
	compiler compiler
	aliases  bool
	fields   []Field
}

func (f *fieldLister) add(path, kind string) { f.fields = append(f.fields, Field{path, kind}) }

// list adds what is encoded of a type at a path.
func (f *fieldLister) list(t reflect.Type, path string, depth int) {
	for t.Kind() == reflect.Pointer { // written as what it leads to
		t = t.Elem()
	}
	if depth > maxFieldDepth || len(f.fields) >= maxFields {
		return
	}
	own, err := ownEncoding(t, true)
	switch {
	case own != nil || err != nil:
		f.add(path, "a "+t.String())
		return
	case t.Kind() == reflect.Struct:
		f.listStruct(t, path, depth)
		return
	case t.Kind() == reflect.Map:
		f.add(path, kindMap)
		f.list(t.Elem(), path+"{}", depth+1)
		return
	case t.Kind() == reflect.Slice && isBytes(t):
		f.add(path, kindBytes)
		return
	case t.Kind() == reflect.Slice:
		f.add(path, kindList)
		f.list(t.Elem(), path+"[]", depth+1)
		return
	case t.Kind() == reflect.Array:
		f.add(path, fmt.Sprintf("%d elements", t.Len()))
		f.list(t.Elem(), path+"[]", depth+1)
		return
	}
	f.add(path, basicKind(t.Kind()))
}

// listStruct adds the fields of a struct.
func (f *fieldLister) listStruct(t reflect.Type, path string, depth int) {
	s, err := f.compiler.fieldsOf(t, place{addressable: true})
	switch {
	case err != nil:
		return
	case s.asArray:
		f.add(path, fmt.Sprintf("%d fields without names", len(s.list)))
		if !f.aliases { // what isn't written can be read all the same
			return
		}
	default:
		f.add(path, kindStruct)
	}
	for _, field := range s.list {
		of := t.FieldByIndex(field.index)
		names := []string{field.name}
		if f.aliases {
			names = append(names, tagOf(of).aliases()...)
		}
		for _, name := range names {
			f.list(of.Type, path+"."+name, depth+1)
		}
	}
}

// basicKind returns what is written of booleans, numbers and strings.
func basicKind(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return kindBool
	case reflect.String:
		return kindString
	case reflect.Float32, reflect.Float64:
		return "a " + k.String()
	}
	return kindInteger
}

// Kinds that only themselves can be read as. What has an encoding of its own, and arrays, may
// be read as others.
const (
	kindBool    = "a boolean"
	kindInteger = "an integer"
	kindFloat32 = "a float32"
	kindFloat64 = "a float64"
	kindString  = "a string"
	kindBytes   = "bytes"
	kindList    = "a list"
	kindMap     = "a map"
	kindStruct  = "a struct"
)

// Reads reports whether what was written as one kind can be read as another, as far as the
// kinds say.
func Reads(written, read string) bool {
	kinds := []string{kindBool, kindInteger, kindFloat32, kindFloat64, kindString, kindBytes, kindList, kindMap, kindStruct}
	return written == read || !slices.Contains(kinds, written) || !slices.Contains(kinds, read)
}
