// Package enginetest is a test kit for programs of the engine: it runs a stream
// over given batches in virtual time (testing/synctest), through the same
// driver, scheduler and strict local mode that run it in earnest.
package enginetest
