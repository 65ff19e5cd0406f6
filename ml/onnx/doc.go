// Package onnx reads networks from ONNX files (opsets 6 to 28) for inference:
//
//	model, err := onnx.Compile(data)         // data is the file
//	y, err := model.NewWorker(32).Run(x, 32)
//
// [Read] decodes and checks a file; [File.Trace] turns its graph into the list of
// operations that package graph knows, with the operations that the links and
// functions of Hibana use, so that what holds for them holds here: package
// compile fuses them, graph.Build runs them in Gorgonia's machines.
//
// A graph has one input of numbers or truth values whose first dimension, or the one
// that [Batch] names, is the batch, whether named, open or fixed in the file; with
// [Whole] there is no batch. Further inputs are given the same values for every row
// with [Fix]. Its first output counts, or that of [Output]. Other open dimensions are
// given with [Dim].
//
// Integers and truth values that are known when the file is read, such as shapes, are
// computed then, and so are the conditions of If and the steps of Loop and Scan. Those
// that depend on the row, such as words, are kept as floats: what float32 doesn't hold
// exactly (from 2^24 on), or the integer's type doesn't, is an error of the row.
// Operators that are not known are an error that names the
// operator and its node; so is an attribute that would change the result and isn't
// followed, and whatever ONNX doesn't allow: attributes that an operator hasn't got in
// the file's opset, or of another kind, and names that are written twice. What trains,
// such as Dropout with training_mode, is refused. A Cast to float16 or bfloat16 rounds;
// all else is computed with float32.
//
// A file that takes any number of rows is read for two as well, and refused if it
// puts them together: see package compile. One whose batch is fixed to one row, or
// that is valid for one alone, runs for each.
//
// LSTM and GRU are unrolled for one length of the sequences, which is the whole
// length for every row: read a file once for each length that occurs.
//
// Files may come from anyone: every length is checked against what is there, the
// graph's arrays are bounded ([MaxElements]), so are its operations, and nothing in a file is executed,
// opened or fetched; weights in other files are refused unless [Files] has them.
//
// The files: proto.go decodes the wire format, tensor.go arrays, inputs.go settles
// inputs and outputs, importer.go walks the graph, batch.go explains nodes that fit the
// file's batch only, fold.go computes what is known, schemas.go has what a node of each
// operator may hold, table.go who reads it, the node_*.go files read them by family.
// The command modeltest holds all of it against ONNX's own tests.
package onnx
