package variables

// Cells are the rows of one key, while its partition's next version is made.
type Cells interface {
	// Now returns the batch's time in nanoseconds since 1970.
	Now() int64
	// Held reports whether the state has a variable.
	Held(v *Variable) bool
	// Fail notes what is wrong, the first time.
	Fail(err error)

	get(v *Variable, entry string) (data []byte, ok bool)
	// put sets a row, which takes over data and ends at a time, or never.
	put(v *Variable, entry string, data []byte, end int64)
	remove(v *Variable, entry string)
}

// Get returns the data of a value.
func Get(c Cells, v *Variable) (data []byte, ok bool) { return c.get(v, "") }

// Set sets the data of a value.
func Set(c Cells, v *Variable, data []byte) { c.put(v, "", data, v.end(c.Now())) }

// Remove takes a value away.
func Remove(c Cells, v *Variable) { c.remove(v, "") }
