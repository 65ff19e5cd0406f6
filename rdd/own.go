package rdd

import (
	"bytes"
	"reflect"
	"strings"
	"unsafe"
)

// owner makes values of type T own the strings and bytes in them. What was decoded or read
// aliases the block that it came in: a short string would keep all of that alive for as
// long as it is kept itself. The zero value has nothing to do.
type owner[T any] struct{ own func(unsafe.Pointer) }

// Owning returns what makes a value own the strings and bytes in it, for package engine:
// what tasks are given may be parts of large blocks, and is copied where it is kept. It
// returns nil for a type that has nothing to copy.
func Owning[T any]() func(*T) {
	if o := owning[T](); o.own != nil {
		return o.of
	}
	return nil
}

// owning returns the owner of a type. It looks into structs and arrays, not behind
// pointers, interfaces, maps and slices of anything but bytes: what is there may be
// shared.
//
//go:noinline
func owning[T any]() owner[T] { return owner[T]{owningOf(reflect.TypeFor[T]())} }

// of makes a value its own, which is in memory already: taking the address of a variable
// for it would cost an allocation, also where there is nothing to do.
func (o owner[T]) of(v *T) {
	if o.own != nil {
		o.own(unsafe.Pointer(v))
	}
}

// owningOf returns what makes the value of a type at a place its own, nil if it is
// already.
func owningOf(t reflect.Type) func(unsafe.Pointer) {
	switch t.Kind() {
	case reflect.String:
		return func(p unsafe.Pointer) {
			s := (*string)(p)
			*s = strings.Clone(*s)
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return func(p unsafe.Pointer) {
				b := (*[]byte)(p)
				*b = bytes.Clone(*b)
			}
		}
	case reflect.Array:
		return owningArray(t)
	case reflect.Struct:
		return owningStruct(t)
	}
	return nil
}

func owningArray(t reflect.Type) func(unsafe.Pointer) {
	own, n, size := owningOf(t.Elem()), t.Len(), t.Elem().Size()
	if own == nil || n == 0 {
		return nil
	}
	return func(p unsafe.Pointer) {
		for i := range n {
			own(unsafe.Add(p, uintptr(i)*size))
		}
	}
}

func owningStruct(t reflect.Type) func(unsafe.Pointer) {
	type field struct {
		at  uintptr
		own func(unsafe.Pointer)
	}
	var fields []field
	for i := range t.NumField() {
		if own := owningOf(t.Field(i).Type); own != nil {
			fields = append(fields, field{t.Field(i).Offset, own})
		}
	}
	switch len(fields) {
	case 0:
		return nil
	case 1:
		f := fields[0]
		return func(p unsafe.Pointer) { f.own(unsafe.Add(p, f.at)) }
	}
	return func(p unsafe.Pointer) {
		for _, f := range fields {
			f.own(unsafe.Add(p, f.at))
		}
	}
}
