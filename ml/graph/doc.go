// Package graph turns what a define-by-run forward pass did into data: a
// [Trace], the list of its operations with their attributes and parameters.
// Compilers fuse and run a trace (package compile), exporters write it down,
// and [Build] makes it a gorgonia.ExprGraph, whose nodes are the same
// operations, for Gorgonia's machines and Gorgonia's differentiation.
//
// A trace holds one path through the program. Where an if or a loop depends on
// the input's elements, other inputs would take another, so [Record] refuses a
// forward pass that reads them. Its shapes, the batch size among them, are those
// of the inputs that it was recorded with.
package graph
