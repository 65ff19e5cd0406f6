// Package clienttest has engine-drivers without a cluster, for tests of what
// talks to one: they take submissions, tell of jobs and hand the lead around as
// the test says. They run no programs and keep nothing on disk.
package clienttest
