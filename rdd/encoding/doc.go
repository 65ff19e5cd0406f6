// Package encoding turns elements into msgpack and back, the way they lie in
// shuffle blocks, results and state (https://github.com/msgpack/msgpack).
//
// Common types (integers, floats, strings, byte slices, booleans and slices of
// these) are written and read without reflection. For all others [For] makes a
// codec from the type, before anything runs, or says why there is none: what a
// codec takes comes back equal, or writing it is an error. Structs are maps of
// their fields by name and follow the tags of vmihailenco/msgpack, so that a
// value recorded by an earlier version of a program can still be read. A type
// with an encoding of its own must read what it writes.
//
// Pointers come back to values of their own: what several share is written for
// each. Decoded strings and byte slices of the common types alias the encoded
// bytes, which therefore must not be changed afterwards.
package encoding
