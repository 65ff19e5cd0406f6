// Package models keeps the versions of a job's models: the [Registry] decides on
// the driver which version each batch is planned with, [Versions] loads them in
// an executor process. The files are in package modelstore.
//
// Files in the order to read them: history.go (which version follows which),
// registry.go (what batches, executors and the store need), publish.go (bringing
// a version in), request.go (wishes from outside the program), versions.go.
package models
