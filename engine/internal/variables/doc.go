// Package variables keeps what programs name of each key, values, lists, maps and timers,
// in the one table of a keyed state.
//
// A row of the table is a variable of a key, or a part of it: an element of a list, an
// entry of a map, a timer. So a change costs what it changes, in memory and in a
// checkpoint's deltas, however long a list is. Data are encodings, so the table, its files
// and what prints them need no types, and what a program is given is its own.
//
//	variable   entry            data
//	value      ""               the value
//	list       ""               numbers of its first element and of the one that comes next
//	list       element's number the element
//	map        ""               its first and last key, and how many there are
//	map        key              when it was set, keys before and after it, the value
//	timers     as a map, whose keys are times
//
// When rows end, because they have lived their time or are timers, is in a second table
// beside the first, of the same rows: there the stamp of a row is its end, so that those
// that are due are found without a look at the others. It is made of the first one when a
// checkpoint is read.
package variables
