package kafka

import (
	"encoding/json"
	"fmt"
	"unsafe"

	"github.com/hibana-engine/hibana/rdd"
)

// Decoder turns a record into an element, on executors. It must not keep the
// record, which is reused; its key and value may be kept for the batch.
type Decoder[T any] func(r *Record) (T, error)

// UnavailableError says that a decoder couldn't get at what it needs to judge a record, a
// schema for one. The record isn't at fault: whatever is done about bad records the task
// fails, and is tried again if the error isn't permanent ([rdd.Permanent]).
type UnavailableError struct{ Err error }

// Error returns the error's text.
func (e *UnavailableError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Raw passes records as they are. A record's bytes are valid for the batch.
func Raw(r *Record) (Record, error) { return *r, nil }

// StringValue passes the value as a string, which aliases the record's bytes;
// null is "".
func StringValue(r *Record) (string, error) {
	return unsafe.String(unsafe.SliceData(r.Value), len(r.Value)), nil
}

// JSONValue decodes the value as JSON into a T.
func JSONValue[T any](r *Record) (T, error) {
	var v T
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return v, rdd.Permanent(fmt.Errorf("decoding JSON: %w", err)) // the bytes stay what they are
	}
	return v, nil
}
