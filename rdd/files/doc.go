// Package files finds, reads and writes files in directories and buckets, through
// gocloud.dev/blob. An [Address] is a path of the file system or the URL of a bucket whose
// driver the program has; the driver for files is built in, others are blank imports of
// the program's, such as gocloud.dev/blob/s3blob.
//
// [List] finds files by pattern, a [Bucket] reads and writes them, and an [Output] is a
// directory that tasks write together: its manifest says which files count.
package files
