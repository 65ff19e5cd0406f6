// Package modelstore keeps the versions of a job's models in a blob bucket: a
// directory, or whatever gocloud.dev/blob has a driver for.
//
// Under the job's incarnation a bucket holds, for each model,
//
//	NAME/versions/DIGEST        the file, DIGEST being its SHA-256
//	NAME/history/EPOCH-NUMBER   what was current, the newest last
//
// A version's name is its contents, so writing one twice does no harm and what
// is read is verified. Blobs can't be fenced against a driver that was deposed
// and doesn't know it yet: a history's names begin with the driver's epoch, so
// that what the newest driver wrote comes last.
package modelstore
