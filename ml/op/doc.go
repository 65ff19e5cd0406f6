// Package op holds the operations behind package functions: one struct each,
// whose fields are the operation's attributes. User code calls functions;
// compilers and exporters switch on these types in a graph.Trace.
//
// The methods are those of nn.Op and its extensions and are documented there.
//
// The doc comment of each type names its inputs in order, with their shapes,
// and its outputs. An input in [brackets] may be left out. Every operation
// checks its inputs' shapes, types and, for labels, values, and its gradient is
// compared with Chainer's and with numeric differences in the tests of package
// functions. Those that say that they have no gradient (Map, Zip, Select, Exact, Lookup,
// Take and what looks along an axis in along.go) are for networks from files, and are
// held against ONNX's own tests in package onnx.
package op
