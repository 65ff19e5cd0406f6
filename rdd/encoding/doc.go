// Package encoding turns elements into msgpack and back, the way they lie in
// shuffle blocks, results and state (https://github.com/msgpack/msgpack).
//
// Common types (integers, floats, strings, byte slices, booleans and slices of
// these) are written and read without reflection; all others go through
// vmihailenco/msgpack, so a user's struct works as it is, with that library's
// tags. A type that can't be encoded is found by [For], before anything runs.
//
// Decoded strings and byte slices alias the encoded bytes, which therefore must
// not be changed afterwards.
package encoding
