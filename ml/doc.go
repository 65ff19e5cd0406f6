// Package ml maps neural networks over streams.
//
// [Model] names a network and its weights, [ONNX] a file that holds both;
// [Predict] runs it over the elements
// of a stream, in batches, on executors; [PredictLengths] where they are of different
// lengths, [PredictEager] where the network is another one for each, [PredictWith] where a
// function of yours runs several models. What a program needs of
// a network's shapes it says with [ModelRef.Expect]. The version of a model, the SHA-256 of
// its file, is pinned in each batch's allocation, so a batch that is
// replayed uses the same. A process holds the weights once, packed; each of its
// task slots has a worker with scratch memory of its own. The batch that a row
// came in never changes its result.
//
// Networks are written and trained with the packages below this one: nn
// (variables and gradients), functions, links, optimizers, training. Package
// compile fuses a network for inference, package graph runs it in Gorgonia's
// machines. Package vision takes images to a network, and boxes out of what it gives.
package ml
