// Package streaming trains models on a stream: k-means, linear and logistic
// regression, with the names, rules and defaults of Spark's MLlib.
//
// A model is declared with what it starts from; TrainOn teaches it a stream and
// PredictOn applies it. What a model has learned is a version of it, published
// like any other: the batch after uses it, it survives the program's death, a
// batch that runs again isn't learned twice, and it can be rolled back. Each
// batch is planned when the one before has been learned, so that PredictOn uses
// what was learned up to the batch before.
//
// K-means adds up each partition where it is. A regression makes many passes over
// a batch: its points go to one task, whose memory they must fit.
package streaming
