// Package npz reads and writes NumPy's .npy and .npz files, the format in
// which Chainer saves links, optimizers and whole trainers.
//
// The format is described by NumPy's NEP 1 and numpy/lib/format.py: a magic
// string, a header that is a Python dictionary literal (dtype, order, shape)
// and the raw elements. An .npz is a zip of .npy files.
//
// Files come from outside, so nothing in them is trusted: declared sizes are
// checked against [Limits] and against what the compressed bytes could
// possibly hold before anything is allocated, pickled objects are never
// unpickled, and every malformed input is an error that names the entry.
//
// What is written is a function of the arrays alone (fixed zip timestamps, the
// entries in the order given), so equal weights give equal bytes and the same
// digest, whoever saved them and whenever.
package npz
